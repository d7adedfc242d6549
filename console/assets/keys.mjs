// The keyboard: see the dialog of the layout.
let leader = 0; // when g was pressed

export function listen() {
  const help = document.querySelector('#help');
  const button = document.querySelector('#keys');
  button.hidden = false;
  button.addEventListener('click', () => help.showModal());
  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || help.open) return;
    if (e.target.closest('input, textarea, select')) {
      if (e.key === 'Escape') e.target.blur();
      return;
    }
    if (press(e, help)) e.preventDefault();
  });
}

function press(e, help) {
  if (Date.now() - leader < 1500) {
    leader = 0;
    return follow(document.querySelector(`header nav a[data-key="${CSS.escape(e.key)}"]`));
  }
  switch (e.key) {
    case 'g': leader = Date.now(); return true;
    case '?': help.showModal(); return true;
    case '/': document.querySelector('main input:not([type=hidden])')?.focus(); return true;
    case 'j': return move(1);
    case 'k': return move(-1);
    case ']': return follow(document.querySelector('a[rel=next]'));
    case '[': return follow(document.querySelector('a[rel=prev]'));
    case 'f': document.querySelector('#follow')?.click(); return true;
    case 'Enter': {
      if (e.target.closest('a, button, summary')) return false;
      const row = document.querySelector('main tr.at');
      return follow(row?.querySelector('th a, a'));
    }
  }
  return false;
}

function follow(link) {
  if (link) link.click();
  return Boolean(link);
}

function move(by) {
  const rows = [...document.querySelectorAll('main table.rows tbody > tr:not(.opened)')];
  if (rows.length === 0) return false;
  const at = rows.findIndex((r) => r.classList.contains('at'));
  const next = Math.min(Math.max(at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by, 0), rows.length - 1);
  rows[at]?.classList.remove('at');
  rows[next].classList.add('at');
  rows[next].scrollIntoView({ block: 'nearest' });
  return true;
}
