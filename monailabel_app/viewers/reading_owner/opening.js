// Opening a study from its protocol: checked first, since it is frozen afterwards.

import { element } from './elements.js';
import { attempt, check, open } from './server.js';
import { checkedSentences } from './words.js';

/** Let a form check and open protocols; `opened` gets the name of the study. */
export function showOpening(form, opened) {
  const [file, told] = [form.querySelector('#protocol'), form.querySelector('#checked')];
  const submit = form.querySelector('.primary');
  let text = '';
  const forget = () => {
    told.replaceChildren();
    submit.disabled = true;
  };

  file.addEventListener('change', forget);
  const look = form.querySelector('#check');
  look.disabled = false; // from now on somebody listens
  look.addEventListener('click', () => {
    forget();
    if (!form.reportValidity()) return;
    attempt(async () => {
      text = await file.files[0].text();
      told.replaceChildren(...checkedSentences(await check(text)).map(each => element('p', {}, each)));
      submit.disabled = false;
    });
  });
  form.addEventListener('submit', event => {
    event.preventDefault();
    attempt(async () => {
      const { study } = await open(text); // what was checked, whatever the file holds by now
      form.reset();
      forget();
      opened(study);
    });
  });
}
