// Draws the figures of a page, and draws them anew where it turns dark or light, or is printed.
(() => {
  "use strict";
  const read = (id) => JSON.parse(document.getElementById(`${id}-data`).textContent);
  const looks = read("looks");
  const figures = [...document.querySelectorAll("[data-plot]")].map((box) => ({
    box,
    figure: read(box.id),
  }));
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const settings = {
    responsive: true,
    displaylogo: false,
    displayModeBar: false,
    plotlyServerURL: "",
    showSendToCloud: false,
    showEditInChartStudio: false,
  };
  // Copies, for Plotly writes into what it is given. A figure has the colours of light ones.
  const coloured = (part, colours) => {
    if (typeof part === "string") {
      const found = /^#[0-9a-f]{6}([0-9a-f]{2})?$/.test(part) ? colours[part.slice(0, 7)] : null;
      return found ? found + part.slice(7) : part;
    }
    if (Array.isArray(part)) return part.map((one) => coloured(one, colours));
    if (part === null || typeof part !== "object") return part;
    return Object.fromEntries(
      Object.entries(part).map(([name, value]) => [name, coloured(value, colours)]),
    );
  };

  const draw = (isDark) => {
    const colours = isDark ? looks.colours : {};
    for (const { box, figure } of figures) {
      const layout = coloured(figure.layout, colours);
      layout.template = structuredClone(isDark ? looks.dark : looks.light);
      layout.paper_bgcolor = "rgba(0,0,0,0)";
      layout.plot_bgcolor = "rgba(0,0,0,0)";
      layout.autosize = true;
      Plotly.react(box, coloured(figure.data, colours), layout, settings);
    }
  };

  draw(dark.matches);
  dark.addEventListener("change", () => draw(dark.matches));
  window.addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details")) one.open = true;
    document.body.classList.add("printing"); // figures keep the width that they are drawn with
    draw(false);
  });
  window.addEventListener("afterprint", () => {
    document.body.classList.remove("printing");
    draw(dark.matches);
  });
})();
