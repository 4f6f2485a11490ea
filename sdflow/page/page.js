// What Gradio's components lack: keys for undo and redo, a divider that keys move, names that tell
// things apart. Words come from the page itself, which has them in the visitor's language.
() => {
  const writes = element =>
    element.isContentEditable ||
    element.matches('textarea, input:not([type=range], [type=radio], [type=checkbox])');

  document.addEventListener('keydown', event => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || writes(event.target)) return;
    const key = event.key.toLowerCase();
    const redo = (key === 'z' && event.shiftKey) || (key === 'y' && !event.shiftKey);
    if (!redo && key !== 'z') return;
    event.preventDefault();
    document.getElementById(redo ? 'redo' : 'undo')?.click();
  });

  // Moves the divider of the before/after picture as a mouse would.
  const drag = (handle, share) => {
    const frame = handle.parentElement.getBoundingClientRect();
    const y = frame.y + frame.height / 2;
    const send = (target, type, x) =>
      target.dispatchEvent(
        new MouseEvent(type, { bubbles: true, cancelable: true, view: window, clientX: x, clientY: y })
      );
    const to = frame.x + frame.width * share;
    send(handle.querySelector('.inner'), 'mousedown', frame.x + frame.width * place(handle));
    send(window, 'mousemove', to);
    send(window, 'mouseup', to);
    requestAnimationFrame(() => tell(handle));
  };
  const place = handle => {
    const at = new DOMMatrix(getComputedStyle(handle).transform).m41;
    return Math.min(Math.max(at / handle.parentElement.clientWidth, 0), 1);
  };
  const tell = handle =>
    handle.setAttribute('aria-valuenow', Math.round(100 * place(handle)));
  const steps = { ArrowLeft: -0.05, ArrowDown: -0.05, ArrowRight: 0.05, ArrowUp: 0.05, Home: -1, End: 1 };

  const word = name => document.getElementById(`word-${name}`)?.textContent ?? '';
  const improve = () => {
    // Gradio's name for them is English, and not what stands on them.
    for (const button of document.querySelectorAll('.upload-container[aria-label]'))
      button.removeAttribute('aria-label');
    for (const slider of document.querySelectorAll('#controls .block[id^=slider-]')) {
      const button = slider.querySelector('[data-testid=reset-button]');
      const label = slider.querySelector('[data-testid=block-info]');
      label.id = `${slider.id}-label`;
      button?.setAttribute('aria-labelledby', `word-to_zero ${label.id}`);
    }
    // their words name them; Gradio's label says something else, in English
    for (const drop of document.querySelectorAll('button[aria-dropeffect]'))
      drop.removeAttribute('aria-label');
    const sides = document.querySelectorAll('#caption .side');
    document.querySelectorAll('#picture img').forEach((image, i) => {
      if (sides[i]) image.alt = sides[i].textContent;
    });
    for (const image of document.querySelectorAll('#alone img, #inset img'))
      image.alt = word('alone');
    const handle = document.querySelector('#picture [data-testid=slider]');
    if (handle && !handle.hasAttribute('aria-label')) {
      for (const [name, value] of Object.entries({
        role: 'slider',
        tabindex: 0,
        'aria-valuemin': 0,
        'aria-valuemax': 100,
        'aria-label': word('divider'),
      })) handle.setAttribute(name, value);
      tell(handle);
      handle.addEventListener('focus', () => tell(handle));
      handle.addEventListener('keydown', event => {
        if (!(event.key in steps)) return;
        event.preventDefault();
        drag(handle, Math.min(Math.max(place(handle) + steps[event.key], 0), 1));
      });
    }
  };
  // On a phone the result lies below what opens a face.
  const seek = event => {
    if (!event.target.closest('#random, #examples .thumbnail-item, #faces .thumbnail-item, #photo input, #open'))
      return;
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    document.getElementById('result').scrollIntoView({ block: 'nearest', behavior: still ? 'auto' : 'smooth' });
  };
  document.addEventListener('click', seek);
  document.addEventListener('change', seek);
  improve();
  new MutationObserver(improve).observe(document.body, {
    childList: true,
    subtree: true,
  });
}
