#pragma once
// Routes: the table of what this server answers. Each row is a method, a path pattern, who may ask and the handler;
// a test holds the table to api/openapi.yaml in both directions.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "control/control.h"
#include "http/message.h"
#include "http/router.h"
#include "io/task.h"
#include "server/answers.h"

namespace lmsb::server {

// A request whose sender is known and may come in.
struct Call {
  http::Request request;
  control::Principal who;
};

// Answers one call. Runs on the event loop; never blocks. Cancelled when the client goes away.
using Handler = std::function<io::Task<http::Response>(Call)>;

struct RouteRow {
  std::string method;
  std::string pattern;
  Handler handler;
  bool is_public = false;  // answers anybody, without a key: only what says whether we live
  bool is_alias = false;   // a second spelling of a documented path
};

// Filled at start, then only read.
class RouteTable {
 public:
  void add(std::string method, std::string pattern, Handler handler);
  // The same, answered without a key.
  void add_public(std::string method, std::string pattern, Handler handler);
  // `pattern` ends in a slash; the path without it is answered too.
  void add_with_and_without_slash(std::string method, std::string pattern, const Handler& handler);

  const std::vector<RouteRow>& rows() const { return rows_; }

  struct Match {
    const RouteRow* row = nullptr;  // nullptr: see http::Router::Match
    std::size_t index = 0;
    std::map<std::string, std::string> params;
    std::vector<std::string> allowed_methods;
  };
  Match match(std::string_view method, std::string_view path) const;

 private:
  void add_row(RouteRow row);

  http::Router router_;  // knows the paths; its rows stand in the order of rows_
  std::vector<RouteRow> rows_;
};

}  // namespace lmsb::server
