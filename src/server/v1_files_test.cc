#include <gtest/gtest.h>

#include "server/test_support.h"

namespace lmsb::server {
namespace {

const std::string kFiles = "/v1/sandboxes/box/files";

struct FilesFixture : Fixture {
  FilesFixture() {
    FakeFiles& files = control.fake_files;
    files.content = "0123456789abcdefghij";
    files.found.info.path = "/workspace/a.txt";
    files.found.info.type = control::FileType::file;
    files.found.info.size = files.content.size();
    files.found.info.mode = 0640;
    files.found.info.seen_at = 100;
  }

  http::Request request(std::string method, std::string path, std::map<std::string, std::string> query,
                        std::string body = {}) {
    http::Request made = local_request(std::move(method), std::move(path), std::move(body));
    made.query = std::move(query);
    return made;
  }
  http::Response get(const http::Headers& headers = {}) {
    http::Request made = request("GET", kFiles, {{"path", "a.txt"}});
    for (const auto& [name, value] : headers.fields()) made.headers.set(name, value);
    return send(std::move(made));
  }
  static std::string body_of(const http::Response& response) {
    std::string all;
    while (response.source) {
      const auto piece = io::run_blocking(response.source->next());
      EXPECT_TRUE(piece.ok());
      if (!piece.ok() || piece->empty()) break;
      all += *piece;
    }
    return all;
  }
  static http::Headers with(const std::string& name, const std::string& value) {
    http::Headers headers;
    headers.set(name, value);
    return headers;
  }
};

TEST(FileRoutes, GiveAFileAsAnAttachmentThatNoBrowserRuns) {
  FilesFixture fixture;
  const http::Response response = fixture.get();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.source_size, 20U);
  EXPECT_EQ(FilesFixture::body_of(response), "0123456789abcdefghij");
  EXPECT_EQ(*response.headers.find("Content-Type"), "application/octet-stream");
  EXPECT_EQ(*response.headers.find("X-Content-Type-Options"), "nosniff");
  EXPECT_TRUE(response.headers.find("Content-Security-Policy")->starts_with("sandbox"));
  EXPECT_TRUE(response.headers.find("Content-Disposition")->starts_with("attachment"));
  EXPECT_EQ(*response.headers.find("X-File-Mode"), "0640");
  EXPECT_EQ(fixture.control.fake_files.place.sandbox, "box");
  EXPECT_EQ(fixture.control.fake_files.place.path, "a.txt");
}

TEST(FileRoutes, GiveAPart) {
  FilesFixture fixture;
  const http::Response response = fixture.get(FilesFixture::with("Range", "bytes=10-13"));
  EXPECT_EQ(response.status, 206);
  EXPECT_EQ(*response.headers.find("Content-Range"), "bytes 10-13/20");
  EXPECT_EQ(FilesFixture::body_of(response), "abcd");
  EXPECT_EQ(response.source_size, 4U);
}

TEST(FileRoutes, SayWhatThereIsWhenARangeIsBeyondIt) {
  FilesFixture fixture;
  const http::Response response = fixture.get(FilesFixture::with("Range", "bytes=20-"));
  EXPECT_EQ(response.status, 416);
  EXPECT_EQ(*response.headers.find("Content-Range"), "bytes */20");
}

TEST(FileRoutes, GiveTheWholeWhenTheFileIsNotTheOneOfIfRange) {
  FilesFixture fixture;
  http::Headers headers = FilesFixture::with("Range", "bytes=1-2");
  headers.set("If-Range", "\"other\"");
  EXPECT_EQ(fixture.get(headers).status, 200);
  headers.set("If-Range", control::etag_of(fixture.control.fake_files.found.info));
  EXPECT_EQ(fixture.get(headers).status, 206);
}

TEST(FileRoutes, DoNotSendWhatTheClientHas) {
  FilesFixture fixture;
  const std::string etag = control::etag_of(fixture.control.fake_files.found.info);
  const http::Response response = fixture.get(FilesFixture::with("If-None-Match", etag));
  EXPECT_EQ(response.status, 304);
  EXPECT_EQ(response.source, nullptr);
  EXPECT_EQ(*response.headers.find("ETag"), etag);
}

TEST(FileRoutes, LookAtWhatALinkLeadsTo) {
  FilesFixture fixture;
  FakeFiles& files = fixture.control.fake_files;
  files.found.target = files.found.info;
  files.found.target->size = 7;
  files.found.info.type = control::FileType::symlink;
  const http::Response response = fixture.send(fixture.request("HEAD", kFiles, {{"path", "l"}}));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(*response.headers.find("X-File-Size"), "7");
  EXPECT_EQ(*response.headers.find("X-File-Type"), "file");
}

TEST(FileRoutes, TakeAFileOfAnyType) {
  FilesFixture fixture;
  http::Request put = fixture.request("PUT", kFiles, {{"path", "a.txt"}, {"mode", "0600"}}, std::string("a\0b", 3));
  put.headers.set("Content-Type", "image/png");
  const http::Response response = fixture.send(std::move(put));
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(fixture.control.fake_files.content, std::string("a\0b", 3));
  EXPECT_EQ(fixture.control.fake_files.written.mode, 0600U);
  EXPECT_EQ(fixture.control.fake_files.written.how, control::WriteFile::How::replace);
}

TEST(FileRoutes, CreateOrAppendWhenAsked) {
  FilesFixture fixture;
  http::Request create = fixture.request("PUT", kFiles, {{"path", "a"}}, "x");
  create.headers.set("If-None-Match", "*");
  EXPECT_EQ(fixture.send(std::move(create)).status, 200);
  EXPECT_EQ(fixture.control.fake_files.written.how, control::WriteFile::How::create);
  EXPECT_EQ(fixture.send(fixture.request("PUT", kFiles, {{"path", "a"}, {"append", "true"}}, "x")).status, 200);
  EXPECT_EQ(fixture.control.fake_files.written.how, control::WriteFile::How::append);
}

TEST(FileRoutes, TakeConditionsForAChange) {
  FilesFixture fixture;
  using Kind = control::FileCondition::Kind;
  const auto put = [&fixture](const std::string& field, const std::string& value, const std::string& append = "false") {
    http::Request made = fixture.request("PUT", kFiles, {{"path", "a"}, {"append", append}}, "x");
    made.headers.add(field, value);
    return fixture.send(std::move(made)).status;
  };
  EXPECT_EQ(put("If-Match", R"("1-2-3.4", W/"1-2-3.5-6")"), 200);
  const control::FileCondition& asked = fixture.control.fake_files.written.condition;
  EXPECT_EQ(asked.kind, Kind::is_one_of);
  EXPECT_EQ(asked.tags, (std::vector<std::string>{R"("1-2-3.4")", R"(W/"1-2-3.5-6")"}));
  EXPECT_EQ(put("If-Match", "*"), 200);
  EXPECT_TRUE(asked.is_any);
  EXPECT_EQ(put("If-None-Match", R"("a")"), 200);
  EXPECT_EQ(asked.kind, Kind::is_none_of);
  EXPECT_EQ(put("If-None-Match", "*", "true"), 200);
  EXPECT_TRUE(asked.is_any);
  EXPECT_EQ(put("If-Match", "no tag"), 400);
  EXPECT_EQ(put("If-Unmodified-Since", "Wed, 25 Nov 2026 15:23:29 GMT"), 400);
  http::Request both = fixture.request("DELETE", kFiles, {{"path", "a"}});
  both.headers.set("If-Match", "*");
  EXPECT_EQ(fixture.send(both).status, 204);
  EXPECT_EQ(fixture.control.fake_files.removed.condition.kind, Kind::is_one_of);
  both.headers.set("If-None-Match", "*");
  EXPECT_EQ(fixture.send(std::move(both)).status, 400);
}

TEST(FileRoutes, AnswerAConditionThatIsNotMetWith412) {
  FilesFixture fixture;
  EXPECT_EQ(fixture.get(FilesFixture::with("If-Match", R"("other")")).status, 412);
  const std::string etag = control::etag_of(fixture.control.fake_files.found.info);
  EXPECT_EQ(fixture.get(FilesFixture::with("If-Match", etag)).status, 200);
  http::Request head = fixture.request("HEAD", kFiles, {{"path", "a"}});
  head.headers.set("If-None-Match", etag);
  EXPECT_EQ(fixture.send(head).status, 304);
  head.headers.set("If-Match", R"("other")");
  EXPECT_EQ(fixture.send(std::move(head)).status, 412);
  fixture.control.fake_files.error = Error(ErrorCode::failed_precondition, "another").with_slug("precondition_failed");
  EXPECT_EQ(fixture.send(fixture.request("PUT", kFiles, {{"path", "a"}}, "x")).status, 412);
}

TEST(FileRoutes, TakeAnOwner) {
  FilesFixture fixture;
  EXPECT_EQ(fixture.send(fixture.request("PUT", kFiles, {{"path", "a"}, {"owner", "user:100"}}, "x")).status, 200);
  EXPECT_EQ(fixture.control.fake_files.written.owner, "user:100");
  EXPECT_EQ(fixture.send(fixture.request("PUT", kFiles, {{"path", "a"}, {"owner", ""}}, "x")).status, 400);
  EXPECT_EQ(fixture.send("POST", kFiles + "/mkdir", R"({"path":"d","owner":"user"})").status, 200);
  EXPECT_EQ(fixture.control.fake_files.made.owner, "user");
  EXPECT_EQ(fixture.send("POST", kFiles + "/chmod", R"({"path":"d","owner":"1000"})").status, 200);
  EXPECT_EQ(fixture.control.fake_files.mode_change.owner, "1000");
  EXPECT_FALSE(fixture.control.fake_files.mode_change.mode);
}

TEST(FileRoutes, AnswerAFullDiskWith507) {
  FilesFixture fixture;
  fixture.control.fake_files.error = Error(ErrorCode::failed_precondition, "no room").with_slug("disk_full");
  EXPECT_EQ(fixture.send(fixture.request("PUT", kFiles, {{"path", "a"}}, "x")).status, 507);
}

TEST(FileRoutes, TakePathsThatAreNoText) {
  FilesFixture fixture;
  EXPECT_EQ(fixture.send(fixture.request("GET", kFiles, {{"path_base64", "Yf8="}})).status, 200);
  EXPECT_EQ(fixture.control.fake_files.place.path, "a\xff");
  EXPECT_EQ(fixture.send(fixture.request("GET", kFiles, {{"path_base64", "?"}})).status, 400);
  EXPECT_EQ(fixture.send(fixture.request("GET", kFiles, {{"path_base64", "YQ=="}, {"path", "a"}})).status, 400);
}

TEST(FileRoutes, RefuseAQueryTheyDoNotKnow) {
  FilesFixture fixture;
  EXPECT_EQ(fixture.send(fixture.request("GET", kFiles, {})).status, 400);
  EXPECT_EQ(fixture.send(fixture.request("GET", kFiles, {{"path", "a"}, {"x", "1"}})).status, 400);
  EXPECT_EQ(fixture.send(fixture.request("DELETE", kFiles, {{"path", "a"}, {"recursive", "1"}})).status, 400);
  EXPECT_EQ(fixture.send(fixture.request("PUT", kFiles, {{"path", "a"}, {"mode", "888"}}, "x")).status, 400);
}

TEST(FileRoutes, RemoveWhatIsNamed) {
  FilesFixture fixture;
  EXPECT_EQ(fixture.send(fixture.request("DELETE", kFiles, {{"path", "a"}, {"recursive", "true"}})).status, 204);
  EXPECT_TRUE(fixture.control.fake_files.removed.recursive);
}

TEST(FileRoutes, ListPagesWhoseCursorGoesBackAsItCame) {
  FilesFixture fixture;
  FakeFiles& files = fixture.control.fake_files;
  files.page.data.push_back(files.found.info);
  files.page.data.back().path = "/workspace/n\xff";
  files.page.next_cursor = "n\xff";
  const http::Response response =
      fixture.send(fixture.request("GET", kFiles + "/list", {{"path", "."}, {"depth", "3"}}));
  EXPECT_EQ(response.status, 200);
  EXPECT_NE(response.body.find(R"("path_base64":"L3dvcmtzcGFjZS9u/w==")"), std::string::npos) << response.body;
  EXPECT_NE(response.body.find(R"("next_cursor":"YWZ0ZXI6bv8=")"), std::string::npos) << response.body;
  EXPECT_EQ(fixture.send(fixture.request("GET", kFiles + "/list", {{"path", "."}, {"cursor", "YWZ0ZXI6bv8="}})).status,
            200);
  EXPECT_EQ(files.listed.cursor, "n\xff");
  for (const char* other : {"bv8=", "junk", "%%"})
    EXPECT_EQ(fixture.send(fixture.request("GET", kFiles + "/list", {{"path", "."}, {"cursor", other}})).status, 400);
}

TEST(FileRoutes, StatTellsALinkFromItsTarget) {
  FilesFixture fixture;
  FakeFiles& files = fixture.control.fake_files;
  files.found.info.type = control::FileType::symlink;
  files.found.info.target = "b";
  const http::Response response = fixture.send(fixture.request("GET", kFiles + "/stat", {{"path", "l"}}));
  EXPECT_NE(response.body.find(R"("type":"symlink")"), std::string::npos) << response.body;
  EXPECT_NE(response.body.find(R"("target":"b")"), std::string::npos) << response.body;
  EXPECT_NE(response.body.find(R"("target":null)"), std::string::npos) << response.body;
}

TEST(FileRoutes, MoveAndCopyFromPathToPath) {
  FilesFixture fixture;
  EXPECT_EQ(fixture.send("POST", kFiles + "/move", R"({"path":"a","to":"b","overwrite":true})").status, 200);
  EXPECT_EQ(fixture.control.fake_files.moved.to, "b");
  EXPECT_TRUE(fixture.control.fake_files.moved.overwrite);
  EXPECT_EQ(fixture.control.fake_files.copies, 0);
  EXPECT_EQ(fixture.send("POST", kFiles + "/copy", R"({"path":"a","to_base64":"Yv8="})").status, 200);
  EXPECT_EQ(fixture.control.fake_files.moved.to, "b\xff");
  EXPECT_EQ(fixture.control.fake_files.copies, 1);
  EXPECT_EQ(fixture.send("POST", kFiles + "/copy", R"({"path":"a"})").status, 400);
}

TEST(FileRoutes, MakeDirectoriesAndChangeModes) {
  FilesFixture fixture;
  EXPECT_EQ(fixture.send("POST", kFiles + "/mkdir", R"({"path":"d","mode":"0700","parents":false})").status, 200);
  EXPECT_EQ(fixture.control.fake_files.made.mode, 0700U);
  EXPECT_FALSE(fixture.control.fake_files.made.parents);
  EXPECT_EQ(fixture.send("POST", kFiles + "/chmod", R"({"path":"d","mode":"0755"})").status, 200);
  EXPECT_EQ(fixture.control.fake_files.mode_change.mode, 0755U);
  EXPECT_EQ(fixture.send("POST", kFiles + "/chmod", R"({"path":"d"})").status, 400);
  EXPECT_EQ(fixture.send("POST", kFiles + "/chmod", R"({"path":"d","mode":"9"})").status, 400);
}

TEST(FileRoutes, SearchAndReplace) {
  FilesFixture fixture;
  FakeFiles& files = fixture.control.fake_files;
  files.matches.matches.push_back({"/workspace/a", 3, "a line", false});
  files.replaced.files.push_back({"/workspace/a", 2});
  files.replaced.replacements = 2;
  EXPECT_EQ(fixture.send("POST", kFiles + "/glob", R"({"path":".","pattern":"**/*.py","limit":5})").status, 200);
  EXPECT_EQ(files.globbed.limit, 5U);
  const auto grep = fixture.send("POST", kFiles + "/grep", R"({"path":".","pattern":"a","regex":true,"names":"*.c"})");
  EXPECT_NE(grep.body.find(R"("line":3,"text":"a line")"), std::string::npos) << grep.body;
  EXPECT_TRUE(files.grepped.is_regex);
  EXPECT_EQ(files.grepped.names, "*.c");
  const auto replace = fixture.send("POST", kFiles + "/replace", R"({"path":"a","old":"x","new":"y"})");
  EXPECT_NE(replace.body.find(R"("replacements":2)"), std::string::npos) << replace.body;
  EXPECT_EQ(files.replacement.new_text, "y");
}

const std::string kArchive = "/v1/sandboxes/box/archive";

TEST(ArchiveRoutes, GiveAndTakeTar) {
  FilesFixture fixture;
  const http::Response packed = fixture.send(fixture.request("GET", kArchive, {{"path", "d"}}));
  EXPECT_EQ(*packed.headers.find("Content-Type"), "application/x-tar");
  EXPECT_FALSE(packed.source_size);
  EXPECT_EQ(FilesFixture::body_of(packed), "0123456789abcdefghij");
  http::Request request = fixture.request("PUT", kArchive, {{"path", "d"}}, "tar");
  request.headers.set("Content-Type", "application/octet-stream");
  const http::Response unpacked = fixture.send(std::move(request));
  EXPECT_NE(unpacked.body.find(R"("files":1,"bytes":3)"), std::string::npos) << unpacked.body;
  EXPECT_EQ(fixture.control.fake_files.unpacked.format, control::ArchiveFormat::tar);
}

TEST(ArchiveRoutes, GiveTheFormatThatIsAskedFor) {
  FilesFixture fixture;
  const auto asked = [&fixture](const std::map<std::string, std::string>& query, const std::string& accept) {
    http::Request request = fixture.request("GET", kArchive, query);
    if (!accept.empty()) request.headers.set("Accept", accept);
    const http::Response response = fixture.send(std::move(request));
    return response.status == 200 ? std::string(*response.headers.find("Content-Type"))
                                  : std::to_string(response.status);
  };
  EXPECT_EQ(asked({{"path", "d"}, {"format", "zip"}}, ""), "application/zip");
  EXPECT_EQ(asked({{"path", "d"}, {"format", "tar.zst"}}, "application/zip"), "application/zstd");
  EXPECT_EQ(asked({{"path", "d"}}, "text/html, application/zip;q=0.9, */*;q=0.1"), "application/zip");
  EXPECT_EQ(asked({{"path", "d"}}, "*/*"), "application/x-tar");
  EXPECT_EQ(asked({{"path", "d"}, {"format", "rar"}}, ""), "406");
  EXPECT_EQ(asked({{"path", "d"}}, "application/gzip"), "406");
}

TEST(ArchiveRoutes, TakeTheFormatThatIsSaid) {
  FilesFixture fixture;
  const auto sent = [&fixture](const std::map<std::string, std::string>& query, const std::string& type) {
    http::Request request = fixture.request("PUT", kArchive, query, "octets");
    request.headers.set("Content-Type", type);
    const http::Response response = fixture.send(std::move(request));
    return response.status == 200 ? std::string(to_string(fixture.control.fake_files.unpacked.format))
                                  : std::to_string(response.status);
  };
  EXPECT_EQ(sent({{"path", "d"}, {"format", "zip"}}, "application/octet-stream"), "zip");
  EXPECT_EQ(sent({{"path", "d"}}, "Application/Zip; charset=binary"), "zip");
  EXPECT_EQ(sent({{"path", "d"}}, "application/zstd"), "tar.zst");
  EXPECT_EQ(sent({{"path", "d"}}, "application/octet-stream"), "tar");
  EXPECT_EQ(sent({{"path", "d"}, {"format", "rar"}}, "application/zip"), "415");
  EXPECT_EQ(sent({{"path", "d"}}, "application/gzip"), "415");
}

TEST(FileRoutes, TellWhatHappensInADirectoryLineByLine) {
  FilesFixture fixture;
  control::FileEvent event;
  event.kind = control::FileEvent::Kind::renamed;
  event.path = "/workspace/d/\xff";
  fixture.control.fake_files.events = {event};
  http::Request request = fixture.request("GET", kFiles + "/watch", {{"path", "d"}, {"recursive", "false"}});
  request.headers.set("Accept", "application/x-ndjson");
  const std::string body = FilesFixture::body_of(fixture.send(std::move(request)));
  EXPECT_EQ(body,
            "{\"type\":\"armed\"}\n"
            "{\"type\":\"renamed\",\"path\":\"/workspace/d/\xef\xbf\xbd\",\"path_base64\":\"L3dvcmtzcGFjZS9kL/8=\","
            "\"directory\":false}\n"
            "{\"type\":\"gone\"}\n");
  EXPECT_FALSE(fixture.control.fake_files.watched.recursive);
}

TEST(FileRoutes, SayWhyNothingMoreIsToldOfADirectory) {
  FilesFixture fixture;
  fixture.control.fake_files.watch_failure =
      Error(ErrorCode::resource_exhausted, "too many").with_slug("too_many_watches");
  const std::string body =
      FilesFixture::body_of(fixture.send(fixture.request("GET", kFiles + "/watch", {{"path", "d"}})));
  EXPECT_TRUE(body.starts_with("event: armed\n")) << body;
  EXPECT_NE(body.find("\"type\":\"failed\",\"code\":\"too_many_watches\""), std::string::npos) << body;
}

}  // namespace
}  // namespace lmsb::server
