#include "server/routes.h"

#include <algorithm>

#include "base/assert.h"

namespace lmsb::server {
namespace {

// Takes the first segment off `path`.
std::string_view take_segment(std::string_view& path) {
  const std::size_t end = std::min(path.find('/', 1), path.size());
  const std::string_view segment = path.substr(0, end);
  path.remove_prefix(end);
  return segment;
}

// Whether `path` has the segments of `pattern`, where "/{name}" stands for any.
bool looks_like(std::string_view path, std::string_view pattern) {
  while (!path.empty() && !pattern.empty()) {
    const std::string_view wanted = take_segment(pattern);
    const std::string_view segment = take_segment(path);
    if (wanted.ends_with("...}")) return true;
    if (segment != wanted && !wanted.starts_with("/{")) return false;
  }
  return path.empty() && pattern.empty();
}

RouteRow make_row(std::string method, std::string pattern, Handler handler) {
  RouteRow row;
  row.method = std::move(method);
  row.pattern = std::move(pattern);
  row.handler = std::move(handler);
  return row;
}

}  // namespace

void RouteTable::add_row(RouteRow row) {
  router_.add(row.method, row.pattern, {});  // only matched, never called: handlers here also learn who asks
  rows_.push_back(std::move(row));
}

void RouteTable::add(std::string method, std::string pattern, Handler handler) {
  add_row(make_row(std::move(method), std::move(pattern), std::move(handler)));
}

void RouteTable::add_asking(std::string method, std::string pattern, Handler handler) {
  add(std::move(method), std::move(pattern), std::move(handler));
  rows_.back().reads_query = true;
}

void RouteTable::add_public(std::string method, std::string pattern, Handler handler) {
  RouteRow row = make_row(std::move(method), std::move(pattern), std::move(handler));
  row.is_public = true;
  row.is_early = true;
  add_row(std::move(row));
}

void RouteTable::add_early(std::string method, std::string pattern, Handler handler) {
  RouteRow row = make_row(std::move(method), std::move(pattern), std::move(handler));
  row.is_early = true;
  add_row(std::move(row));
}

void RouteTable::add_streamed(std::string method, std::string pattern, Bytes limit, Handler handler) {
  RouteRow row = make_row(std::move(method), std::move(pattern), std::move(handler));
  row.streamed_body = limit;
  row.reads_query = true;
  streamed_.push_back(rows_.size());
  add_row(std::move(row));
}

void RouteTable::add_once(std::string pattern, std::optional<Bytes> streamed_body, Handler handler) {
  if (streamed_body) {
    add_streamed("POST", std::move(pattern), *streamed_body, std::move(handler));
  } else {
    add("POST", std::move(pattern), std::move(handler));
  }
  rows_.back().takes_key = true;
}

void RouteTable::add_forwarded(const std::string& method, const std::string& base, const Handler& handler) {
  for (const char* below : {"/{path...}", ""}) {
    add_streamed(method, base + below, Bytes(UINT64_MAX), handler);
    rows_.back().takes_any_body = true;
  }
  rows_.back().is_alias = true;
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

std::optional<Bytes> RouteTable::streamed_body(std::string_view method, std::string_view path) const {
  const bool is_plain = path.find('%') == std::string_view::npos;
  const bool possible = !is_plain || std::any_of(streamed_.begin(), streamed_.end(), [&](std::size_t index) {
    return rows_[index].method == method && looks_like(path, rows_[index].pattern);
  });
  if (!possible) return std::nullopt;
  const Match found = match(method, path);  // another row may fit better
  return found.row == nullptr ? std::nullopt : found.row->streamed_body;
}

}  // namespace lmsb::server
