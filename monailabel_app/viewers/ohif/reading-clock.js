// How long a case and each of its questions were looked at, and how often the reader looked elsewhere.

/** Times of one case. */
export class ReadingClock {
  #now;
  #last;
  #place = null;
  #isAway = false;
  #isPaused = false;
  #total = 0;
  #away = 0;
  #losses = 0;
  #byPlace = new Map();

  /** Begin; `now` gives milliseconds. */
  constructor(now) {
    this.#now = now;
    this.#last = now();
  }

  /** The question that is looked at from now on; null: none. */
  attend(place) {
    this.#count();
    this.#place = place;
  }

  /** Whether the window is hidden or another one has the keyboard. */
  setAway(isAway) {
    this.#count();
    if (isAway && !this.#isAway && !this.#isPaused) this.#losses++;
    this.#isAway = isAway;
  }

  /** Whether the reader has paused: that time counts nowhere. */
  setPaused(isPaused) {
    this.#count();
    this.#isPaused = isPaused;
  }

  /** Seconds that a question was looked at so far. */
  secondsOf(place) {
    this.#count();
    return rounded(this.#byPlace.get(place) || 0);
  }

  /** Of the case: seconds without pauses, how many of them the window was hidden, and how often that began. */
  get attention() {
    this.#count();
    return { seconds: rounded(this.#total), hidden_s: rounded(this.#away), focus_losses: this.#losses };
  }

  #count() {
    const passed = this.#now() - this.#last;
    this.#last += passed;
    if (this.#isPaused) return;
    this.#total += passed;
    if (this.#isAway) this.#away += passed;
    else if (this.#place !== null) this.#byPlace.set(this.#place, (this.#byPlace.get(this.#place) || 0) + passed);
  }
}

const rounded = milliseconds => Math.round(milliseconds) / 1000;
