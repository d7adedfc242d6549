// What every page has: numbers that stay up to date, and the keyboard.
// A page is whole without it.
import { keepUpToDate } from './live.mjs';
import { listen } from './keys.mjs';

keepUpToDate();
listen();
if (document.querySelector('[data-history]')) import('./charts.mjs').then((m) => m.draw());
if (document.querySelector('#records')) import('./records.mjs').then((m) => m.start());

const all = document.querySelector('#all-letters');
if (all) {
  all.hidden = false;
  all.addEventListener('change', () => document.querySelectorAll('input[name=at][type=checkbox]').forEach((box) => { box.checked = all.checked; }));
}
// What is written into the key's field is text, unless it is said to be something else.
document.querySelector('#key')?.addEventListener('input', (e) => {
  const as = e.target.form.elements.key_as;
  if (as.value === 'null' && e.target.value !== '') as.value = 'text';
});
