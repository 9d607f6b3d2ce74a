// Shows the frames of a sheet one after the other.

const [SHORTEST, LONGEST, REST] = [1, 4, 400]; // seconds that a clip plays, milliseconds at its end

class Player {
  constructor(canvas, slider, button, columns) {
    Object.assign(this, { canvas, slider, button, columns, film: null, image: null, timer: null, frame: 0 });
    this.playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    button.addEventListener("click", () => this.toggle());
    slider.addEventListener("input", () => { this.stop(); this.draw(Number(slider.value)); });
    this.name();
  }

  // Calls `failed` if the sheet cannot be shown.
  show(film, failed) {
    clearTimeout(this.timer);
    this.film = film;
    this.canvas.width = film.width || 1; // which also empties it
    this.canvas.height = film.height || 1;
    this.image = new Image();
    if (!film.frames) return;
    const image = this.image;
    this.slider.max = film.frames - 1;
    this.slider.disabled = this.button.disabled = film.frames < 2;
    this.image.addEventListener("load", () => {
      if (image !== this.image) return;
      this.draw(this.playing ? 0 : Math.floor(film.frames / 2));
      this.go();
    });
    this.image.addEventListener("error", () => { if (image === this.image) failed(); });
    this.image.src = film.sheet;
  }

  // Asks for a sheet that is likely to be shown next.
  prepare(film) { if (film.frames) { this.ahead = new Image(); this.ahead.src = film.sheet; } }

  // Seconds in which the film is played once.
  get loop() { return Math.min(LONGEST, Math.max(SHORTEST, this.film.seconds)); }

  draw(frame) {
    const { width, height } = this.film;
    this.frame = frame;
    this.slider.value = frame;
    this.slider.setAttribute("aria-valuetext", "frame " + (frame + 1) + " of " + this.film.frames);
    const [left, top] = [(frame % this.columns) * width, Math.floor(frame / this.columns) * height];
    this.canvas.getContext("2d").drawImage(this.image, left, top, width, height, 0, 0, width, height);
  }

  go() {
    clearTimeout(this.timer);
    if (!this.playing || this.film.frames < 2) return;
    const last = this.frame === this.film.frames - 1;
    this.timer = setTimeout(() => {
      this.draw(last ? 0 : this.frame + 1);
      this.go();
    }, 1000 * this.loop / this.film.frames + (last ? REST : 0));
  }

  stop() { this.playing = false; clearTimeout(this.timer); this.name(); }

  toggle() {
    if (this.playing) { this.stop(); return; }
    this.playing = true;
    this.name();
    if (this.image.complete && this.image.naturalWidth) this.go();
  }

  name() { this.button.textContent = this.playing ? "Pause" : "Play"; }
}
