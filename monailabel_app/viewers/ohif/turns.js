// Requests in turn: never more than one at a time, and of values that change only the newest.

const AGAIN_MS = 1000;
const LATER = [0, 429, 502, 503, 504]; // HTTP status of what may be answered a moment later; 0: not reached

/** Whether what failed with this error may be answered a moment later. */
export const isForLater = ({ status }) => LATER.includes(status);

/** A queue of requests, each an object; one that `isOfNow` takes the place of another such that still waits. */
export class Turns {
  #send;
  #fail;
  #againMs;
  #waiting = [];
  #running = null;
  #timer;

  /** `send(request, signal)` asks and takes the answer in; `fail(error, request)` says what went wrong. */
  constructor(send, fail, againMs = AGAIN_MS) {
    this.#send = send;
    this.#fail = fail;
    this.#againMs = againMs;
  }

  /** Ask, at once or after what waits already. */
  put(request) {
    if (request.isOfNow) this.#waiting = this.#waiting.filter(({ isOfNow }) => !isOfNow);
    this.#waiting.push(request);
    this.#run();
  }

  /** End what is under way, and what waits. */
  leave() {
    clearTimeout(this.#timer);
    this.#waiting = [];
    this.#running?.abort();
  }

  async #run() {
    if (this.#running) return;
    clearTimeout(this.#timer);
    while (this.#waiting.length) {
      const request = this.#waiting.shift();
      const { signal } = (this.#running = new AbortController());
      const error = await this.#send(request, signal).then(() => null, reason => reason);
      this.#running = null;
      if (!error || signal.aborted) continue;
      this.#fail(error, request);
      if (!isForLater(error)) continue;
      if (!request.isOfNow || !this.#waiting.some(({ isOfNow }) => isOfNow)) this.#waiting.unshift(request);
      this.#timer = setTimeout(() => this.#run(), this.#againMs);
      return;
    }
  }
}
