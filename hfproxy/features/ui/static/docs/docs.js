"use strict";
// Swagger UI is dark where this class is, and asks nobody by itself.
const dark = matchMedia("(prefers-color-scheme: dark)");
const dress = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", dress);
dress();

// The description lies beside the page's files: found from this page's address, so also under a path prefix.
SwaggerUIBundle({
  url: new URL("../-/openapi.json", document.baseURI).href,
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
  displayRequestDuration: true,
  // Nothing is sent to anybody else to have the description judged.
  validatorUrl: null,
});
