// What the server says, made fit to be read: a refusal begins with its sentence, not with the UID that it is about.

const SIGNED_OUT =
  'You are signed out, or your token was revoked. Reload the page to sign in again; if the token is not taken, ask ' +
  'whoever runs the server for a new one.';
const UID_FIRST = /^\s*((?:\d+\.){2,}\d+)(?:\.dcm)?:\s+/;

/** A server's message; a UID in front gives way to what it is called (`nameOf`), or to nothing. */
export function readable(message, nameOf = _uid => '') {
  const [, uid] = message.match(UID_FIRST) || [];
  if (!uid) return capitalized(message);
  const rest = readable(message.replace(UID_FIRST, ''), nameOf);
  const name = nameOf(uid);
  return name ? `${name}: ${rest}` : rest;
}

/** The `detail` of an error's JSON as one sentence: the server's own, or what its checks of a request found. */
export function detailOf({ detail }) {
  if (!Array.isArray(detail)) return detail ? readable(String(detail)) : '';
  const problem = ({ loc = [], msg }) => `${loc.filter(part => part !== 'body').join('.') || 'request'}: ${msg}`;
  return capitalized(detail.map(problem).join('; '));
}

/** What to say of an answer ({status, statusText}) that is no good one; programs are told more of a 401 than people. */
export function refusalOf({ status, statusText }, path, body) {
  if (status === 401) return SIGNED_OUT;
  return detailOf(body) || `The server answered ${status} ${statusText} to ${path}.`;
}

/** A number of things: 1 image, 2 images. */
export const counted = (number, thing) => `${number} ${thing}${number === 1 ? '' : 's'}`;

/** The same with a capital first letter. */
export const capitalized = text => text.replace(/^\p{Ll}/u, letter => letter.toUpperCase());

/** A name in code as words: `image_laterality` is "Image laterality". */
export const title = name => capitalized(name.replaceAll('_', ' '));
