#pragma once
// Routes: the table of what this server answers. Each row is a method, a path pattern, who may ask and the handler;
// a test holds the table to api/openapi.yaml in both directions.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
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
  std::shared_ptr<const control::AnswerKey> promised;  // of a request with an Idempotency-Key (once.h)
};

// Answers one call. Runs on the event loop; never blocks. Cancelled when the client goes away.
using Handler = std::function<io::Task<http::Response>(Call)>;

struct RouteRow {
  std::string method;
  std::string pattern;
  Handler handler;
  bool is_public = false;  // answers anybody, without a key: only what says whether we live
  // Answers also while sandboxes are taken up: says how the daemon is, or what it can do, and uses none.
  bool is_early = false;
  bool is_alias = false;  // a second spelling of a documented path
  // Set where the handler reads the body as it comes, from Request::incoming: how long it may be.
  std::optional<Bytes> streamed_body;
  bool takes_any_body = false;  // it is not for us: no type is asked of it
  bool reads_query = false;     // else nothing may stand in it
  bool takes_key = false;       // an Idempotency-Key (once.h); other POST requests of ours refuse one
};

// Filled at start, then only read.
class RouteTable {
 public:
  void add(std::string method, std::string pattern, Handler handler);
  // The same of one that reads the query, and refuses what it does not know of it.
  void add_asking(std::string method, std::string pattern, Handler handler);
  // The same as add(), answered without a key.
  void add_public(std::string method, std::string pattern, Handler handler);
  // Answered also while sandboxes are taken up; those that are public are, too.
  void add_early(std::string method, std::string pattern, Handler handler);
  // The handler reads the body as it comes, `limit` at most: Request::incoming is always there, Request::body empty.
  // The body may be of any kind that no page of another site could send (Doors::check_streamed_body).
  void add_streamed(std::string method, std::string pattern, Bytes limit, Handler handler);
  // The same for a handler that passes requests on: bodies of any kind and length. Of the path `base`, which is an
  // alias, and all paths below it, as "base/{path...}".
  void add_forwarded(const std::string& method, const std::string& base, const Handler& handler);
  // A POST that is made once for each Idempotency-Key: `handler` is of once(). With `streamed_body` as add_streamed().
  void add_once(std::string pattern, std::optional<Bytes> streamed_body, Handler handler);
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
  // How long a body may be that is read as it comes; nothing: not there. For http::Server, which asks for each request:
  // allocates only where such a row may be meant.
  std::optional<Bytes> streamed_body(std::string_view method, std::string_view path) const;

 private:
  void add_row(RouteRow row);

  http::Router router_;  // knows the paths; its rows stand in the order of rows_
  std::vector<RouteRow> rows_;
  std::vector<std::size_t> streamed_;  // those whose body is
};

}  // namespace lmsb::server
