// /v1/sandboxes/{id}/files/...: what is done with files other than moving their content. JSON in and out.
#include "base/text.h"
#include "control/files.h"
#include "server/answers.h"
#include "server/file_fields.h"
#include "server/v1_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Files;

// By which a cursor of ours is told from other texts: what stands behind it may be any path.
const std::string kCursorMark = "after:";

Result<std::string> read_cursor(const std::string& text) {
  if (text.empty()) return std::string();
  const auto cursor = base64_decode(text);
  if (cursor && cursor->starts_with(kCursorMark)) return cursor->substr(kCursorMark.size());
  return Error(ErrorCode::invalid_argument, "cursor is not one that a page gave")
      .with_slug("invalid_request")
      .with_hint("send next_cursor of the page before as it came, or no cursor for the first page");
}

http::Response page_answer(const control::FilePage& page) {
  json::Writer out;
  out.begin_object().key("data").begin_array();
  for (const control::FileInfo& info : page.data) write_file_info(out, info);
  out.end_array();
  // A path, which may be any octets: base64 keeps them.
  string_or_null(out.key("next_cursor"), page.next_cursor ? base64_encode(kCursorMark + *page.next_cursor) : "");
  out.key("truncated").boolean(page.is_truncated);
  write_skipped(out, page.skipped);
  out.end_object();
  return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> list(Files& files, Call call) {
  FileQuery query(call.request.query);
  control::ListFiles request;
  request.at.sandbox = call.request.params["id"];
  LMSB_CO_CHECK(query.take_path(request.at.path));
  LMSB_CO_CHECK(query.take_number("depth", request.depth, 1, 4096));
  LMSB_CO_CHECK(query.take_number("limit", request.limit, 1, control::kMaxFilePage));
  LMSB_CO_TRY(request.cursor, read_cursor(query.take("cursor")));
  LMSB_CO_CHECK(query.finish());
  LMSB_CO_TRY(const auto page, co_await files.list(std::move(call.who), std::move(request)));
  co_return page_answer(page);
}

io::Task<http::Response> stat(Files& files, Call call) {
  FileQuery query(call.request.query);
  control::FilePlace at;
  at.sandbox = call.request.params["id"];
  LMSB_CO_CHECK(query.take_path(at.path));
  LMSB_CO_CHECK(query.finish());
  LMSB_CO_TRY(const auto found, co_await files.stat(std::move(call.who), std::move(at)));
  json::Writer out;
  out.begin_object();
  write_file_info(out.key("file"), found.info);
  out.key("target");
  if (found.target) {
    write_file_info(out, *found.target);
  } else {
    out.null();
  }
  out.end_object();
  co_return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> make_directory(Files& files, Call call) {
  control::MakeDirectory request;
  auto refusal = read_body(call.request.body, [&](json::ObjectReader& reader) {
    read_path(reader, kPathField, request.at.path);
    read_mode(reader, "mode", request.mode);
    reader.boolean("parents", request.parents);
    read_owner(reader, request.owner);
  });
  if (refusal) co_return *std::move(refusal);
  request.at.sandbox = call.request.params["id"];
  LMSB_CO_TRY(const auto info, co_await files.make_directory(std::move(call.who), std::move(request)));
  json::Writer out;
  write_file_info(out, info);
  co_return http::Response::json(200, std::move(out).str());
}

std::optional<http::Response> read_move(Call& call, control::MoveFile& out) {
  out.at.sandbox = call.request.params["id"];
  return read_body(call.request.body, [&out](json::ObjectReader& reader) {
    read_path(reader, kPathField, out.at.path);
    read_path(reader, kToField, out.to);
    reader.boolean("overwrite", out.overwrite);
  });
}

http::Response moved_answer(const control::MovedFile& moved) {
  json::Writer out;
  out.begin_object();
  write_file_info(out.key("file"), moved.info);
  out.key("files").unsigned_integer(moved.files).key("bytes").unsigned_integer(moved.bytes);
  write_skipped(out, moved.skipped);
  out.end_object();
  return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> move(Files& files, Call call) {
  control::MoveFile request;
  auto refusal = read_move(call, request);
  if (refusal) co_return *std::move(refusal);
  LMSB_CO_TRY(const auto moved, co_await files.move(std::move(call.who), std::move(request)));
  co_return moved_answer(moved);
}

io::Task<http::Response> copy(Files& files, Call call) {
  control::MoveFile request;
  auto refusal = read_move(call, request);
  if (refusal) co_return *std::move(refusal);
  LMSB_CO_TRY(const auto copied, co_await files.copy(std::move(call.who), std::move(request)));
  co_return moved_answer(copied);
}

io::Task<http::Response> change_mode(Files& files, Call call) {
  control::ChangeMode request;
  auto refusal = read_body(call.request.body, [&](json::ObjectReader& reader) {
    read_path(reader, kPathField, request.at.path);
    std::uint32_t mode = 0;
    read_mode(reader, "mode", mode);
    if (reader.raw("mode")) request.mode = mode;
    read_owner(reader, request.owner);
    if (!reader.raw("mode") && !reader.raw("owner"))
      reader.refuse("mode", "Field required, or owner: what is to be changed", "missing");
    reader.boolean("recursive", request.recursive);
  });
  if (refusal) co_return *std::move(refusal);
  request.at.sandbox = call.request.params["id"];
  LMSB_CO_TRY(const auto changed, co_await files.change_mode(std::move(call.who), std::move(request)));
  json::Writer out;
  out.begin_object().key("changed").unsigned_integer(changed).end_object();
  co_return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> glob(Files& files, Call call) {
  control::GlobFiles request;
  auto refusal = read_body(call.request.body, [&](json::ObjectReader& reader) {
    read_path(reader, kPathField, request.at.path);
    reader.string("pattern", request.pattern, json::Need::required);
    read_limit(reader, request.limit);
  });
  if (refusal) co_return *std::move(refusal);
  request.at.sandbox = call.request.params["id"];
  LMSB_CO_TRY(const auto page, co_await files.glob(std::move(call.who), std::move(request)));
  co_return page_answer(page);
}

void write_matches(json::Writer& out, const std::vector<control::GrepMatch>& matches) {
  out.key("matches").begin_array();
  for (const control::GrepMatch& match : matches) {
    out.begin_object();
    write_path(out, "path", match.path);
    out.key("line").unsigned_integer(match.line).key("text").string(match.text);
    out.key("text_cut").boolean(match.is_cut).end_object();
  }
  out.end_array();
}

io::Task<http::Response> grep(Files& files, Call call) {
  control::GrepFiles request;
  auto refusal = read_body(call.request.body, [&](json::ObjectReader& reader) {
    read_path(reader, kPathField, request.at.path);
    reader.string("pattern", request.pattern, json::Need::required);
    reader.boolean("regex", request.is_regex);
    reader.boolean("ignore_case", request.ignores_case);
    reader.string("names", request.names);
    read_limit(reader, request.limit);
  });
  if (refusal) co_return *std::move(refusal);
  request.at.sandbox = call.request.params["id"];
  LMSB_CO_TRY(const auto result, co_await files.grep(std::move(call.who), std::move(request)));
  json::Writer out;
  out.begin_object();
  write_matches(out, result.matches);
  out.key("files").unsigned_integer(result.files).key("truncated").boolean(result.is_truncated);
  write_skipped(out, result.skipped);
  out.end_object();
  co_return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> replace(Files& files, Call call) {
  control::ReplaceInFiles request;
  auto refusal = read_body(call.request.body, [&](json::ObjectReader& reader) {
    read_path(reader, kPathField, request.at.path);
    reader.string("old", request.old_text, json::Need::required);
    reader.string("new", request.new_text, json::Need::required);
    reader.string("names", request.names);
    read_limit(reader, request.limit);
  });
  if (refusal) co_return *std::move(refusal);
  request.at.sandbox = call.request.params["id"];
  LMSB_CO_TRY(const auto result, co_await files.replace(std::move(call.who), std::move(request)));
  json::Writer out;
  out.begin_object().key("files").begin_array();
  for (const control::ReplacedFile& file : result.files) {
    out.begin_object();
    write_path(out, "path", file.path);
    out.key("replacements").unsigned_integer(file.replacements).end_object();
  }
  out.end_array().key("replacements").unsigned_integer(result.replacements);
  out.key("truncated").boolean(result.is_truncated);
  write_skipped(out, result.skipped);
  out.end_object();
  co_return http::Response::json(200, std::move(out).str());
}

}  // namespace

void add_file_operation_routes(RouteTable& table, control::Control& control) {
  Files& files = control.files();
  using Operation = io::Task<http::Response> (*)(Files&, Call);
  const auto with = [&files](Operation operation) {
    return [&files, operation](Call call) { return with_file_statuses(operation(files, std::move(call))); };
  };
  const std::string base = "/v1/sandboxes/{id}/files/";
  table.add_asking("GET", base + "list", with(list));
  table.add_asking("GET", base + "stat", with(stat));
  table.add("POST", base + "mkdir", with(make_directory));
  table.add("POST", base + "move", with(move));
  table.add("POST", base + "copy", with(copy));
  table.add("POST", base + "chmod", with(change_mode));
  table.add("POST", base + "glob", with(glob));
  table.add("POST", base + "grep", with(grep));
  table.add("POST", base + "replace", with(replace));
}

}  // namespace lmsb::server
