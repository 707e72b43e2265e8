#pragma once
// Router: which handler answers which method and path. Patterns are literal segments and `{name}` for one segment that
// is not empty; at the end `{name...}` for all the rest, slashes included, which may be empty. A literal segment goes
// before a name, and that before a rest. Paths come as they were sent: each segment is percent-decoded by itself, so
// that a name may have a slash in it ("%2F"). HEAD is answered by GET's handler where it has none of its own (the
// server leaves the body out). Filled at start, then only read.
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "http/message.h"
#include "io/task.h"

namespace lmsb::http {

// Answers one request. Runs on the event loop; never blocks. Cancelled (by Asio's cancellation) when the client goes
// away before the answer. An Error becomes the answer that the router's error shape makes of it.
using Handler = std::function<io::Task<Response>(Request)>;

struct Route {
  std::string method;   // "POST"
  std::string pattern;  // "/v1/sandboxes/{id}/exec"; a last slash is significant unless a route for both is added
  Handler handler;
};

class Router {
 public:
  // A bug if the same method and pattern was added before.
  void add(std::string method, std::string pattern, Handler handler);
  const std::vector<Route>& routes() const { return routes_; }

  struct Match {
    const Route* route = nullptr;               // nullptr: nothing at that path, or not for that method
    std::map<std::string, std::string> params;  // by name, without the dots of a rest
    std::vector<std::string> allowed_methods;   // of that path, for 405's Allow; empty: 404
  };
  Match match(std::string_view method, std::string_view path) const;

 private:
  using Indices = std::vector<std::size_t>;  // into routes_; one for each method of a pattern
  struct Named {
    std::vector<std::string> segments;  // "{id}" stays as written
    Indices routes;
  };
  using Segments = std::vector<std::string_view>;
  const Indices* find_literal(const Segments& segments) const;
  const Named* find_named(const Segments& segments, std::map<std::string, std::string>& params) const;
  Match choose(const Indices& routes, std::string_view method) const;

  std::vector<Route> routes_;
  std::unordered_map<std::string, Indices> literal_;  // by pattern
  std::vector<Named> named_;
};

}  // namespace lmsb::http
