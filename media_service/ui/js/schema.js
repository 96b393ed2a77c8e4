/** The schema's page: Swagger UI, which its own file has put into `window` before this module runs. */

window.SwaggerUIBundle({
  url: "/schema/openapi.json",
  dom_id: "#schema",
  deepLinking: true,
  showExtensions: true,
  showCommonExtensions: true,
});
