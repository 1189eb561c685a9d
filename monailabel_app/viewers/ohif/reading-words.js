// The truth of a training case in words.

import { counted } from './sentences.js';

const SIDES = { R: 'right breast', L: 'left breast' };

/** Lines of [what, words] from what the server tells: {truth by question and target, generated}. */
export function reportOf({ truth, generated }, questions) {
  const lines = Object.entries(truth || {}).flatMap(([name, value]) => {
    const question = questions.find(each => each.name === name);
    if (!question) return [];
    return Object.entries(value).map(([target, each]) => {
      const about = target === 'case' ? '' : ` (${SIDES[target] || `image ${target}`})`;
      return [question.title + about, wordsOf(question, each)];
    });
  });
  const origin = questions.find(({ type }) => type === 'real_or_generated');
  return origin ? [[origin.title, generated ? 'generated' : 'real'], ...lines] : lines;
}

function wordsOf({ type, categories, labels }, value) {
  if (type === 'marks') return value.length ? counted(value.length, 'place') : 'none';
  if (type === 'category') return [value, labels[categories.indexOf(value)]].filter(Boolean).join(' ');
  return String(value);
}
