// The desk reads and acts without this; it adds four conveniences.
// 1. A region with `data-live` is fetched anew every so often, until it says that it is done.
// 2. Times are shown by the reader's own clock.
// 3. A form is sent once, however often its button is pressed.
// 4. What moves by itself can be stopped.
"use strict";

(() => {
  const language = document.documentElement.lang;
  const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(language, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

  const showTimes = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const isToday = at.toDateString() === new Date().toDateString();
      time.title = time.dateTime;
      time.textContent = (isToday ? clock : day).format(at);
    }
  };

  // What a screen reader is told: the region's own `data-say`, and only when it has changed.
  const say = (region) => {
    const voice = document.getElementById(region.dataset.voice || "");
    const words = region.querySelector("[data-say]");
    if (voice && words && voice.textContent !== words.dataset.say) voice.textContent = words.dataset.say;
  };

  let isPaused = false;

  // Whoever reads, types or has opened something in a region is not disturbed.
  const isInUse = (region) => region.contains(document.activeElement) || region.querySelector("details[open]") !== null;

  const follow = (region) => {
    const every = Math.max(500, Number(region.dataset.every) || 1000);
    let failures = 0;
    const again = async () => {
      if (document.hidden || isPaused) return wait();
      try {
        const answer = await fetch(region.dataset.live, { headers: { Accept: "text/html", "X-Desk-Part": "1" }, redirect: "error", cache: "no-store" });
        if (answer.status === 401 || answer.status === 404) return location.reload();
        if (!answer.ok) throw new Error(String(answer.status));
        const text = await answer.text();
        const isDone = answer.headers.get("X-Desk-Done") !== null;
        if (isDone || !isInUse(region)) {
          region.innerHTML = text;
          showTimes(region);
          say(region);
        }
        region.removeAttribute("data-stale");
        failures = 0;
        if (isDone) return undefined;
      } catch (error) {
        region.setAttribute("data-stale", "");
        failures = Math.min(failures + 1, 5);
      }
      return wait();
    };
    const wait = () => setTimeout(again, every * 2 ** failures);
    wait();
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "yes";
  });
  // Back from the next page the form may be sent again.
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });

  for (const button of document.querySelectorAll("[data-pause]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      isPaused = !isPaused;
      button.textContent = isPaused ? button.dataset.resume : button.dataset.pause;
    });
  }

  showTimes(document);
  document.querySelectorAll("[data-live]").forEach(follow);
})();
