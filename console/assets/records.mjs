// The record browser: a row opens where it is, on demand.
export function start() {
  document.querySelector('main').addEventListener('click', (e) => {
    const link = e.target.closest('table.records tbody th a');
    if (!link || e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0) return;
    e.preventDefault();
    toggle(link);
  });
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
