// What a header tells of how an image was made, in words that tell apart results of different models and settings.

import { title } from './sentences.js';

const HASH_LENGTH = 12; // enough to tell weights apart by eye; the whole hash is in the title
const SAID = { true: 'yes', false: 'no' };
const SAME = ['task', 'bundle', 'bundle_version', 'weights_sha256', 'rendering', 'seed'];

/** Names and values of what was chosen, in words. */
const settingsOf = ({ parameters }) =>
  Object.entries(parameters || {})
    .filter(([name, value]) => isSaid(value) && name !== 'rendering' && name !== 'seed')
    .map(([name, value]) => [title(name), SAID[String(value)] ?? textOf(value)]);

/** Model, rendering, seed and what is on, in one line ("residual 0.1.0, sampled, seed 7"), without what `said` says. */
export function summaryOf(entry, said = '') {
  const { bundle, bundle_version, rendering, seed } = entry;
  const isOn = ([, value]) => value !== SAID.false;
  const settings = settingsOf(entry).filter(isOn).map(([name, value]) => `${name.toLowerCase()} ${value}`);
  const model = [bundle, bundle_version].filter(Boolean).join(' ');
  const parts = [model, rendering].filter(part => part && !said.includes(part));
  return [...parts, isSaid(seed) && `seed ${seed}`, ...settings].filter(Boolean).join(', ');
}

/** Label, value and (where the value is cut short) the whole of everything that is known; the rest is left out. */
export function provenanceOf(entry) {
  const { bundle, bundle_version, rendering, weights_sha256, seed, sources, created } = entry;
  const others = (sources || []).slice(1).map(({ role, name }) => [title(role), name]);
  return [
    ['Model', [bundle, bundle_version].filter(Boolean).join(' ')],
    ['Rendering', rendering],
    ['Made', created && new Date(created).toLocaleString()],
    ['Seed', seed],
    ...settingsOf(entry),
    ...others,
    ['Weights', weights_sha256?.slice(0, HASH_LENGTH), weights_sha256],
  ].filter(([, value]) => isSaid(value));
}

/** The entry of the image that an uncertainty belongs to; undefined if it is gone. */
export const imageOf = (uncertainty, entries) =>
  entries.find(entry => entry.role === 'image' && fingerprint(entry) === fingerprint(uncertainty));

const fingerprint = entry =>
  JSON.stringify([SAME.map(name => entry[name]), entry.parameters, entry.source_sop_instance_uids]);

const isSaid = value => value !== null && value !== undefined && value !== '';

const textOf = value => (typeof value === 'object' ? JSON.stringify(value) : String(value));
