// Parts of a page that have data-live, in seconds, and an id are asked for again and again. The server answers
// with nothing when the page is the same.
const parts = () => [...document.querySelectorAll('[data-live][id]')];
let tag = '';
let ticks = 0;

export function keepUpToDate() {
  if (parts().length === 0) return;
  setInterval(tick, 1000);
}

async function tick() {
  if (document.hidden) return;
  ticks++;
  const every = Math.min(...parts().map((p) => Number(p.dataset.live) || 5));
  if (ticks % every !== 0) return;
  const told = document.querySelector('#as-of');
  try {
    const fresh = await fetch(location.href, { headers: { 'Samsa-Poll': '1', ...(tag && { 'If-None-Match': tag }) }, cache: 'no-store', signal: AbortSignal.timeout(15000) });
    if (fresh.status === 304) { asOf(told, fresh); return; }
    if (!fresh.ok) throw new Error(`the broker answers ${fresh.status}`);
    tag = fresh.headers.get('ETag') || '';
    put(new DOMParser().parseFromString(await fresh.text(), 'text/html'));
    asOf(told, fresh);
  } catch (e) {
    told.textContent = `not up to date: ${e.message}`;
    told.className = 'bad';
  }
}

// asOf tells of when a page is. It may have been made for another browser.
function asOf(told, answer) {
  told.textContent = `as of ${new Date(Date.now() - 1000 * Number(answer.headers.get('Age'))).toISOString().slice(11, 19)} UTC`;
  told.className = '';
}

// put has the parts be those of the new page, but for one in which somebody is: selected text and the focus stay.
function put(fresh) {
  const selection = document.getSelection();
  for (const part of parts()) {
    const now = fresh.getElementById(part.id);
    if (!now || part.innerHTML === now.innerHTML) continue;
    if (!selection.isCollapsed && part.contains(selection.anchorNode)) continue;
    const active = part.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
    const row = [...part.querySelectorAll('tbody > tr')].findIndex((r) => r.classList.contains('at'));
    part.replaceChildren(...now.childNodes);
    if (active !== null) [...part.querySelectorAll('a')].find((a) => a.getAttribute('href') === active)?.focus();
    if (row >= 0) part.querySelectorAll('tbody > tr')[row]?.classList.add('at');
  }
}
