// Lists of records: a row opens where it is, the tail is followed, a search goes on by itself.
import { search } from './search.mjs';
import { tail } from './tail.mjs';

export function start() {
  document.querySelector('main').addEventListener('click', (e) => {
    const link = e.target.closest('table.records tbody th a');
    if (!link || e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0) return;
    e.preventDefault();
    toggle(link);
  });
  search();
  tail();
}

async function toggle(link) {
  const row = link.closest('tr');
  if (row.nextElementSibling?.classList.contains('opened')) {
    row.nextElementSibling.remove();
    link.setAttribute('aria-expanded', 'false');
    return;
  }
  const answer = await fetch(link.href);
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const article = page.querySelector('article.record') || page.querySelector('.error');
  if (!article) { location.href = link.href; return; }
  page.querySelectorAll('[id], [aria-labelledby]').forEach((e) => { e.removeAttribute('id'); e.removeAttribute('aria-labelledby'); });
  const cell = document.createElement('td');
  cell.colSpan = row.cells.length;
  cell.append(article);
  const opened = document.createElement('tr');
  opened.className = 'opened';
  opened.append(cell);
  row.after(opened);
  link.setAttribute('aria-expanded', 'true');
}

const body = () => document.querySelector('#records tbody');

// addRows puts rows into the list, and drops those that are too many.
export function addRows(rows, first, most) {
  body().querySelector('.nothing')?.remove();
  if (first) body().prepend(...rows); else body().append(...rows);
  const all = body().rows;
  while (all.length > most) (first ? all[all.length - 1] : all[0]).remove();
  toSave();
}

// rowsIn returns the rows of a part of a page.
export function rowsIn(html) {
  const parsed = new DOMParser().parseFromString(`<table><tbody>${html}</tbody></table>`, 'text/html');
  return [...parsed.querySelectorAll('tr[data-at]')];
}

// toSave has the form save what is in the list.
function toSave() {
  const form = document.querySelector('#save');
  const places = [...body().querySelectorAll('tr[data-at]')].map((r) => r.dataset.at);
  form.elements.at.value = places.join(',');
  form.hidden = places.length === 0;
}
