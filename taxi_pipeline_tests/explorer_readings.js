/* For each fragment of an address: the page is made to show it by its own code, and the trips are read off the page. */
(fragments) => {
  const labels = (selector) => [...document.querySelectorAll(selector)].map((element) => element.getAttribute("aria-label"));
  const tripsIn = (text) => Number((/(?:^|: )([\d,]+) (?:net )?(?:pickups|drop-offs)/.exec(text) || [0, "0"])[1].replaceAll(",", ""));
  const byPosition = (texts) => Object.fromEntries([...texts.entries()].map(([n, text]) => [String(n), tripsIn(text)]).filter(([, trips]) => trips));
  return fragments.map((fragment) => {
    choose(viewFromFragment(fragment));
    return {
      total: tripsIn(document.getElementById("chosen-numbers").textContent),
      zones: Object.fromEntries(
        [...document.querySelectorAll("#map path[data-zone]")]
          .map((path) => [path.dataset.zone, tripsIn(path.getAttribute("aria-label"))])
          .filter(([, trips]) => trips),
      ),
      weeks: byPosition(labels("#weeks .bar")),
      hours: byPosition(labels("#hours .bar")),
      cells: byPosition(labels("#heat rect[role=img]")),
    };
  });
}
