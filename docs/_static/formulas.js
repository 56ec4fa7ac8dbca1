// Typeset the formulas of the page: the LaTeX stands in elements of the class "math".
document.addEventListener("DOMContentLoaded", () => {
  for (const element of document.querySelectorAll("span.math, div.math")) {
    const displayMode = element.tagName === "DIV" || element.classList.contains("display");
    katex.render(element.textContent, element, { displayMode, throwOnError: false });
  }
});
