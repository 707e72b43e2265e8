#pragma once
// What a port of a sandbox gets to see of a request, and a client of its answer. Pure.
#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.h"
#include "server/port_location.h"

namespace lmsb::server {

// How a request came.
struct PortVisit {
  std::string client;  // address of the peer, without its port
  std::string host;    // the Host that it named
  std::uint16_t port = 0;
  bool is_tls = false;

  static PortVisit of(const http::Request& request, std::uint16_t port);
};

constexpr std::string_view kPreviewToken = "lmsb_preview";  // in a query, and as a cookie
constexpr std::string_view kPreviewHeader = "X-Preview-Token";

// By path: nothing that is the caller's with us, no key and no cookie, reaches the sandbox. `prefix` stands before the
// path as the caller wrote it.
void edit_for_path_form(http::Headers& headers, const PortVisit& visit, const std::string& prefix);
// By host name: a page's own cookies and Authorization do; `with_authorization` unless that is a key of ours.
void edit_for_host_form(http::Headers& headers, const PortVisit& visit, bool with_authorization);
// Takes out of an answer what would concern all of our origin, where the API is, has browsers run nothing of it, and
// sends nobody elsewhere with us (port_location.h).
void confine_answer(http::Headers& headers, const LocationPlace& place);

// The path and query of a target, which may be in absolute form.
std::string_view origin_form(std::string_view target);
// What is behind the first `count` segments of an origin form; "/" where nothing is.
std::string behind_segments(std::string_view target, std::size_t count);
// The same, or any URL without a fragment, without the query field `name`, however that is written.
std::string without_query_field(std::string_view target, std::string_view name);
// The value of a cookie; "" when there is none.
std::string_view cookie_of(const http::Headers& headers, std::string_view name);

}  // namespace lmsb::server
