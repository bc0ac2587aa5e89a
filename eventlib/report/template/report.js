"use strict";
// the data stands beside each figure as JSON, which the page's policy never runs
for (const script of document.querySelectorAll('.eventlib-figure > script[type="application/json"]')) {
  const plot = script.parentElement.querySelector(".plot");
  const figure = JSON.parse(script.textContent);
  Plotly.newPlot(plot, figure.data, figure.layout, figure.config).then(
    () => { plot.dataset.drawn = "true"; },
    (error) => {
      plot.textContent = "This figure could not be drawn; its data is in the table below.";
      console.error(error);
    },
  );
}
