// Answers on their way to the server: sent at once, again until it says that it has them, the last one of each question.

const WAITS_MS = [500, 1000, 2000, 4000, 8000]; // before each new attempt, the last one from then on
const GATHERS_MS = 200; // a slider that is dragged, or arrows that run through choices, give one answer
const FINAL = [400, 404, 409, 413, 422]; // refusals that another attempt would not change

/** Dispatches 'change' with every state: 'saved', 'saving', 'waiting' for the server, or 'refused'. */
export class Outbox extends EventTarget {
  #send;
  #pause;
  #pending = new Map();
  #running = null;
  state = 'saved';
  message = '';

  /** `send(answers)` resolves once the server has them; `pause(milliseconds)` waits. */
  constructor(send, pause = wait) {
    super();
    this.#send = send;
    this.#pause = pause;
  }

  /** Whether everything is with the server. */
  get isEmpty() {
    return this.#pending.size === 0;
  }

  /** Send an answer soon; it takes the place of one to the same question that has not been sent yet. */
  put(id, answer) {
    this.#pending.set(id, answer);
    this.sendAgain();
  }

  /** Send what is not with the server yet, also what it refused. */
  sendAgain() {
    if (this.isEmpty) return;
    this.#tell('saving');
    this.#running ??= this.#run().finally(() => (this.#running = null));
  }

  /** Whether an answer is not with the server yet. */
  holds = id => this.#pending.has(id);

  /** Resolves to true once everything is with the server; false if it refused, or does not answer now. */
  async settled() {
    while (!this.isEmpty && this.state === 'saving') await this.#pause(GATHERS_MS / 4);
    return this.isEmpty;
  }

  async #run() {
    for (let attempt = 0; this.#pending.size; ) {
      await this.#pause(attempt ? WAITS_MS[Math.min(attempt, WAITS_MS.length) - 1] : GATHERS_MS);
      const sent = new Map(this.#pending);
      try {
        await this.#send([...sent.values()]);
        attempt = 0;
      } catch (error) {
        if (FINAL.includes(error.status)) return this.#tell('refused', error.message);
        attempt++;
        this.#tell('waiting', error.message);
        continue;
      }
      sent.forEach((answer, id) => this.#pending.get(id) === answer && this.#pending.delete(id));
      this.#tell(this.#pending.size ? 'saving' : 'saved');
    }
  }

  #tell(state, message = '') {
    Object.assign(this, { state, message });
    this.dispatchEvent(new Event('change'));
  }
}

const wait = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
