"use strict";
// Brings in what has changed every other second. What somebody reads, has opened or has
// the focus on stays.
(() => {
  const every = 2000;
  const fresh = document.getElementById("fresh");
  const said = fresh.querySelector("span");
  const pause = document.createElement("button");
  let paused = false, away = 0;
  const label = () => { pause.textContent = paused ? "Refresh again" : "Pause refreshing"; };
  pause.type = "button";
  pause.addEventListener("click", () => { paused = !paused; label(); });
  label();
  fresh.append(" ", pause);

  const take = (page) => {
    document.title = page.title;
    const main = document.querySelector("main");
    const now = [...page.querySelector("main").children];
    const ids = now.map((there) => there.id);
    let before = null;
    for (const there of now) {
      const here = document.getElementById(there.id);
      if (!here) {
        main.insertBefore(document.adoptNode(there), before ? before.nextSibling : main.firstChild);
        before = document.getElementById(there.id);
        continue;
      }
      before = here;
      if (here.innerHTML === there.innerHTML && here.className === there.className) continue;
      const focus = here.contains(document.activeElement) ? document.activeElement.id : "";
      const open = [...here.querySelectorAll("details[open]")].map((d) => d.id);
      const scrolled = [...here.querySelectorAll("[id].scroll")].map((e) => [e.id, e.scrollLeft, e.scrollTop]);
      here.className = there.className;
      here.replaceChildren(...there.childNodes);
      for (const id of open) document.getElementById(id)?.setAttribute("open", "");
      for (const [id, x, y] of scrolled) document.getElementById(id)?.scrollTo(x, y);
      if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
    }
    for (const here of [...main.children]) if (!ids.includes(here.id)) here.remove();
  };

  const refresh = async () => {
    if (!paused && !document.hidden) {
      try {
        const answer = await fetch(location.origin + location.pathname, { cache: "no-store" });
        if (!answer.ok) throw new Error(String(answer.status));
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        take(page);
        said.textContent = page.querySelector("#fresh span").textContent;
        away = 0;
      } catch {
        if (++away === 2) said.textContent = "The service does not answer.";
      }
    }
    setTimeout(refresh, every);
  };
  if (location.search) history.replaceState(null, "", location.pathname);
  setTimeout(refresh, every);
})();
