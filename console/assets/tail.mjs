// The tail of a topic is followed by server-sent events: one stream a page.
import { addRows, rowsIn } from './records.mjs';

const most = 500;

export function tail() {
  const button = document.querySelector('#follow');
  if (!button) return;
  const told = document.querySelector('#following');
  let stream = null;
  let came = 0;
  let passed = 0;
  const tell = (text) => { told.hidden = false; told.textContent = text; };
  const stop = (why) => {
    stream?.close();
    stream = null;
    button.setAttribute('aria-pressed', 'false');
    button.textContent = 'Follow';
    tell(why);
  };
  const start = () => {
    stream = new EventSource(button.dataset.tail);
    button.setAttribute('aria-pressed', 'true');
    button.textContent = 'Stop following';
    document.querySelectorAll('.paging').forEach((p) => { p.hidden = true; });
    tell('following: nothing new yet');
    stream.onmessage = (e) => {
      const event = JSON.parse(e.data);
      addRows(rowsIn(event.rows), true, most);
      came += event.n;
      passed += event.passed;
      tell(`following: ${came.toLocaleString('en')} records${passed ? `, ${passed.toLocaleString('en')} more passed by too fast` : ''}${event.note ? `; ${event.note}` : ''}`);
    };
    stream.addEventListener('end', (e) => stop(`it has ended: ${JSON.parse(e.data)}`));
    stream.onerror = () => {
      if (stream?.readyState === EventSource.CLOSED) stop('the broker does not answer');
      else if (stream) tell('the connection is lost, and tried again');
    };
  };
  button.hidden = false;
  button.addEventListener('click', () => {
    if (stream) stop(`followed ${came.toLocaleString('en')} records`);
    else if (new URL(location.href).searchParams.get('from') === 'newest' || location.search.indexOf('&') < 0) start();
    else location.href = `${button.dataset.newest}#follow`;
  });
  if (location.hash === '#follow') start();
}
