// /v1/sandboxes/{id}/files and .../archive: the content of files, and whole directories as archives.
#include "control/files.h"
#include "server/archive_format.h"
#include "server/file_fields.h"
#include "server/file_headers.h"
#include "server/v1_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::FileInfo;
using control::Files;

constexpr Bytes kMaxUpload = Bytes::GiB(1024);  // the sandbox's disk is the bound that counts

constexpr std::uint64_t kLeastRelayed = 256 << 10U;  // of a file: what is smaller is not worth a relay

// A file's content as an answer's body.
class ContentBody final : public http::BodySource {
 public:
  // `relay` may be null.
  ContentBody(std::unique_ptr<control::FileContent> content, std::shared_ptr<io::PipeRelay> relay)
      : content_(std::move(content)), relay_(std::move(relay)) {}
  io::Task<std::string> next() override { return content_->read(); }
  io::Task<http::BodyPiece> next_piece() override {
    return relay_ ? content_->pass(relay_) : http::BodySource::next_piece();
  }

 private:
  std::unique_ptr<control::FileContent> content_;
  std::shared_ptr<io::PipeRelay> relay_;
};

// Null: for want of descriptors, or because it is not worth it.
std::shared_ptr<io::PipeRelay> relay_of(std::uint64_t size) {
  if (size < kLeastRelayed) return nullptr;
  auto relay = io::PipeRelay::make();
  return relay.ok() ? *std::move(relay) : nullptr;
}

// An archive as an answer's body. What was left out stands behind it.
class ArchiveBody final : public http::BodySource {
 public:
  explicit ArchiveBody(std::unique_ptr<control::FileStream> stream) : stream_(std::move(stream)) {}
  io::Task<std::string> next() override { return stream_->read(); }
  http::Headers trailer() const override { return skipped_trailer(stream_->skipped()); }

 private:
  std::unique_ptr<control::FileStream> stream_;
};

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

control::FilePlace place_of(Call& call, std::string path) {
  return control::FilePlace(call.request.params["id"], std::move(path));
}

http::Response info_answer(int status, const FileInfo& info) {
  json::Writer out;
  write_file_info(out, info);
  return http::Response::json(status, std::move(out).str());
}

http::Response not_modified(const FileInfo& info) {
  http::Response response;
  response.status = 304;
  set_file_headers(response, info);
  return response;
}

http::Response beyond_the_end(const FileInfo& info) {
  const Error error = Error(ErrorCode::invalid_argument, "the file has " + std::to_string(info.size) + " bytes")
                          .with_slug("range_not_satisfiable")
                          .with_hint("ask for bytes that it has, or without Range for all of it");
  http::Response response = error_answer(Dialect::v1, 416, error);
  response.headers.set("Content-Range", "bytes */" + std::to_string(info.size));
  return response;
}

// Whether the client has it already. A weak tag may be that of what stood there a moment ago.
bool is_known(const http::Request& request, const FileInfo& info) {
  const std::string etag = control::etag_of(info);
  const auto field = request.headers.find("If-None-Match");
  return field && !etag.starts_with("W/") && names_etag(*field, etag);
}

// What a request wants of a file: 200, 206, 304 or 416, with the headers of the answer but no body.
struct Choice {
  http::Response response;
  RangeChoice range;
};

Choice choose(const http::Request& request, const FileInfo& info) {
  Choice choice;
  const std::string etag = control::etag_of(info);
  if (is_known(request, info)) {
    choice.response = not_modified(info);
    return choice;
  }
  choice.range = {RangeChoice::Kind::whole, 0, info.size};
  const auto condition = request.headers.find("If-Range");
  const auto range = request.headers.find("Range");
  if (range && (!condition || is_same_strongly(*condition, etag))) choice.range = choose_range(*range, info.size);
  if (choice.range.kind == RangeChoice::Kind::unsatisfiable) {
    choice.response = beyond_the_end(info);
    return choice;
  }
  set_file_headers(choice.response, info);
  set_download_headers(choice.response, base_name(info.path));
  choice.response.headers.set("Accept-Ranges", "bytes");
  if (choice.range.kind == RangeChoice::Kind::part) {
    choice.response.status = 206;
    choice.response.headers.set("Content-Range", "bytes " + std::to_string(choice.range.offset) + "-" +
                                                     std::to_string(choice.range.offset + choice.range.length - 1) +
                                                     "/" + std::to_string(info.size));
  }
  return choice;
}

io::Task<http::Response> download(Files& files, Call call) {
  FileQuery query(call.request.query);
  std::string path;
  LMSB_CO_CHECK(query.take_path(path));
  LMSB_CO_CHECK(query.finish());
  control::FilePlace at = place_of(call, std::move(path));
  LMSB_CO_TRY(auto content, co_await files.open(std::move(call.who), std::move(at)));
  LMSB_CO_CHECK(check_if_match(call.request.headers, content->info()));
  Choice choice = choose(call.request, content->info());
  if (choice.response.status >= 300) co_return std::move(choice.response);
  LMSB_CO_CHECK(co_await content->select(choice.range.offset, choice.range.length));
  choice.response.source_size = choice.range.length;
  choice.response.source = std::make_shared<ContentBody>(std::move(content), relay_of(choice.range.length));
  co_return std::move(choice.response);
}

// What GET would say of a file; of a directory or anything else what there is to say.
io::Task<http::Response> look(Files& files, Call call) {
  FileQuery query(call.request.query);
  std::string path;
  LMSB_CO_CHECK(query.take_path(path));
  LMSB_CO_CHECK(query.finish());
  control::FilePlace at = place_of(call, std::move(path));
  LMSB_CO_TRY(const auto found, co_await files.stat(std::move(call.who), std::move(at)));
  const FileInfo& info = found.target ? *found.target : found.info;
  LMSB_CO_CHECK(check_if_match(call.request.headers, info));
  if (is_known(call.request, info)) co_return not_modified(info);
  http::Response response;
  set_file_headers(response, info);
  if (info.type == control::FileType::file) {
    response.headers.set("Accept-Ranges", "bytes");
    response.source_size = info.size;
    set_download_headers(response, base_name(info.path));
  }
  co_return response;
}

Status refuse_fields(const http::Request& request, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (request.headers.find(name))
      return Error(ErrorCode::invalid_argument, std::string(name) + " is not known here")
          .with_slug("invalid_request")
          .with_hint("a file is written whole, with append=true behind its end; If-Match takes its ETag");
  return {};
}

Status read_how(FileQuery& query, const http::Request& request, control::WriteFile& out) {
  bool append = false;
  LMSB_CHECK(query.take_flag("append", append));
  LMSB_CHECK(query.take_mode("mode", out.mode));
  if (out.mode.value_or(0) > 0777U)
    return Error(ErrorCode::invalid_argument, "a file is written with permissions from 0000 to 0777")
        .with_slug("invalid_request")
        .with_hint("files/chmod sets the other bits, where they may be set");
  LMSB_CHECK(query.take_owner(out.owner));
  if (append) out.how = control::WriteFile::How::append;
  // A part would replace the whole (RFC 9110 section 14.5), and so would what a condition should have kept.
  LMSB_CHECK(refuse_fields(request, {"Content-Range", "If-Unmodified-Since"}));
  LMSB_TRY(out.condition, condition_of(request.headers));
  const bool creates = out.condition.kind == control::FileCondition::Kind::is_none_of && out.condition.is_any;
  if (!creates || append) return {};
  out.how = control::WriteFile::How::create;
  out.condition = {};
  return {};
}

io::Task<http::Response> upload(Files& files, Call call) {
  FileQuery query(call.request.query);
  std::string path;
  control::WriteFile request;
  LMSB_CO_CHECK(query.take_path(path));
  LMSB_CO_CHECK(read_how(query, call.request, request));
  LMSB_CO_CHECK(query.finish());
  request.at = place_of(call, std::move(path));
  LMSB_CO_TRY(const auto info, co_await files.write(std::move(call.who), std::move(request), call.request.incoming));
  co_return info_answer(200, info);
}

io::Task<http::Response> remove(Files& files, Call call) {
  FileQuery query(call.request.query);
  std::string path;
  control::RemoveFile request;
  LMSB_CO_CHECK(query.take_path(path));
  LMSB_CO_CHECK(query.take_flag("recursive", request.recursive));
  LMSB_CO_CHECK(query.finish());
  LMSB_CO_CHECK(refuse_fields(call.request, {"If-Unmodified-Since"}));
  LMSB_CO_TRY(request.condition, condition_of(call.request.headers));
  request.at = place_of(call, std::move(path));
  LMSB_CO_CHECK(co_await files.remove(std::move(call.who), std::move(request)));
  co_return http::Response::no_content();
}

io::Task<http::Response> pack(Files& files, Call call) {
  FileQuery query(call.request.query);
  std::string path;
  control::PackFiles request;
  LMSB_CO_CHECK(query.take_path(path));
  const std::string named = query.take("format");
  LMSB_CO_CHECK(query.take_flag("skip_unreadable", request.skip_unreadable));
  LMSB_CO_CHECK(query.finish());
  const auto format = wanted_archive(named, call.request);
  if (!format) co_return refuse_archive(406);
  request.format = *format;
  const std::string name = std::string(base_name(path)) + "." + std::string(to_string(*format));
  request.at = place_of(call, std::move(path));
  LMSB_CO_TRY(auto archive, co_await files.pack(std::move(call.who), std::move(request)));
  http::Response response;
  set_download_headers(response, name);
  response.headers.set("Content-Type", std::string(media_type(*format)));
  response.headers.set("Trailer", "X-Skipped-Count, X-Skipped");
  response.source = std::make_shared<ArchiveBody>(std::move(archive));
  co_return response;
}

io::Task<http::Response> unpack(Files& files, Call call) {
  FileQuery query(call.request.query);
  std::string path;
  control::UnpackFiles request;
  LMSB_CO_CHECK(query.take_path(path));
  const std::string named = query.take("format");
  LMSB_CO_CHECK(query.take_owner(request.owner));
  LMSB_CO_CHECK(query.finish());
  const auto format = sent_archive(named, call.request);
  if (!format) co_return refuse_archive(415);
  request.format = *format;
  request.at = place_of(call, std::move(path));
  LMSB_CO_TRY(const auto result, co_await files.unpack(std::move(call.who), std::move(request), call.request.incoming));
  json::Writer out;
  out.begin_object().key("files").unsigned_integer(result.files).key("bytes").unsigned_integer(result.bytes);
  write_skipped(out, result.skipped);
  out.end_object();
  co_return http::Response::json(200, std::move(out).str());
}

using Operation = io::Task<http::Response> (*)(Files&, Call);

}  // namespace

void add_file_routes(RouteTable& table, control::Control& control) {
  Files& files = control.files();
  const auto with = [&files](Operation operation) {
    return [&files, operation](Call call) { return with_file_statuses(operation(files, std::move(call))); };
  };
  table.add_asking("GET", "/v1/sandboxes/{id}/files", with(download));
  table.add_asking("HEAD", "/v1/sandboxes/{id}/files", with(look));
  table.add_streamed("PUT", "/v1/sandboxes/{id}/files", kMaxUpload, with(upload));
  table.add_asking("DELETE", "/v1/sandboxes/{id}/files", with(remove));
  table.add_asking("GET", "/v1/sandboxes/{id}/archive", with(pack));
  table.add_streamed("PUT", "/v1/sandboxes/{id}/archive", kMaxUpload, with(unpack));
}

}  // namespace lmsb::server
