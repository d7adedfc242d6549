// A search goes on by itself, step by step, until it is at its end, has found enough, or is stopped.
import { addRows } from './records.mjs';

const enough = 1000;

export function search() {
  const stop = document.querySelector('#stop');
  if (!stop || !document.querySelector('#go-on')) return;
  let going = null;
  const toggle = () => {
    if (going) { going.abort(); going = null; } else { going = new AbortController(); run(going.signal); }
    show(Boolean(going));
  };
  const show = (on) => {
    stop.hidden = !document.querySelector('#go-on');
    stop.textContent = on ? 'Stop' : 'Go on';
    if (!stop.hidden) document.querySelector('#go-on').hidden = true;
  };
  const run = async (signal) => {
    try {
      for (let next; (next = document.querySelector('#go-on')) && !signal.aborted;) {
        const answer = await fetch(next.href, { signal });
        const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
        if (!answer.ok) throw new Error(page.querySelector('.error')?.textContent || `the broker answers ${answer.status}`);
        take(page);
        if (Number(document.querySelector('#found').textContent) >= enough) break;
      }
    } catch (e) {
      if (!signal.aborted) document.querySelector('#looked').after(` (${e.message})`);
    }
    if (going?.signal === signal) { going = null; show(false); }
  };
  stop.addEventListener('click', toggle);
  toggle();
}

function take(page) {
  const rows = [...page.querySelectorAll('#records tr[data-at]')];
  const found = Number(document.querySelector('#found').textContent) + rows.length;
  if (rows.length > 0) addRows(rows, false, 5000);
  for (const note of page.querySelectorAll('main > .note')) document.querySelector('#progress').before(note);
  const old = document.querySelector('#progress');
  const stop = old.querySelector('#stop');
  const now = page.querySelector('#progress');
  now.querySelector('#found').textContent = found;
  now.querySelector('#stop').remove();
  const parts = [...now.childNodes];
  for (const child of [...old.childNodes]) if (child !== stop) child.remove();
  stop.before(...parts);
  const next = old.querySelector('#go-on');
  if (next) next.hidden = true;
  const nothing = document.querySelector('#records .nothing td');
  if (nothing && !next) nothing.textContent = 'Nothing was found.';
}
