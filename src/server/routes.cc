#include "server/routes.h"

#include "base/assert.h"

namespace lmsb::server {

void RouteTable::add_row(RouteRow row) {
  router_.add(row.method, row.pattern, {});  // only matched, never called: handlers here also learn who asks
  rows_.push_back(std::move(row));
}

void RouteTable::add(std::string method, std::string pattern, Handler handler) {
  RouteRow row;
  row.method = std::move(method);
  row.pattern = std::move(pattern);
  row.handler = std::move(handler);
  add_row(std::move(row));
}

void RouteTable::add_public(std::string method, std::string pattern, Handler handler) {
  RouteRow row;
  row.method = std::move(method);
  row.pattern = std::move(pattern);
  row.handler = std::move(handler);
  row.is_public = true;
  add_row(std::move(row));
}

void RouteTable::add_with_and_without_slash(std::string method, std::string pattern, const Handler& handler) {
  LMSB_ASSERT(pattern.size() > 1 && pattern.back() == '/');
  RouteRow alias;
  alias.method = method;
  alias.pattern = pattern.substr(0, pattern.size() - 1);
  alias.handler = handler;
  alias.is_alias = true;
  add(std::move(method), std::move(pattern), handler);
  add_row(std::move(alias));
}

RouteTable::Match RouteTable::match(std::string_view method, std::string_view path) const {
  http::Router::Match found = router_.match(method, path);
  Match out;
  out.params = std::move(found.params);
  out.allowed_methods = std::move(found.allowed_methods);
  if (found.route == nullptr) return out;
  out.index = static_cast<std::size_t>(found.route - router_.routes().data());
  LMSB_ASSERT(out.index < rows_.size());
  out.row = &rows_[out.index];
  return out;
}

}  // namespace lmsb::server
