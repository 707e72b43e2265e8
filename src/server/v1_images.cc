// GET /v1/images.
#include "json/writer.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;

void write_image(json::Writer& out, const control::ImageInfo& image) {
  out.begin_object().key("name").string(image.name).key("digest").string(image.digest);
  out.key("size_bytes").unsigned_integer(image.size_bytes);
  string_or_null(out.key("created_at"), image.created_at);
  out.key("default").boolean(image.is_default).end_object();
}

io::Task<http::Response> list(Control& control, Call) {
  LMSB_CO_TRY(const auto images, control.images());
  json::Writer out;
  out.begin_object().key("data").begin_array();
  for (const control::ImageInfo& image : images) write_image(out, image);
  out.end_array().key("next_cursor").null().end_object();
  co_return http::Response::json(200, std::move(out).str());
}

}  // namespace

void add_image_routes(RouteTable& table, Control& control) {
  table.add("GET", "/v1/images", [&control](Call call) { return list(control, std::move(call)); });
}

}  // namespace lmsb::server
