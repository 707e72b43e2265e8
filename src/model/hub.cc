#include "model/hub.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string_view>

#include "base/digest.h"
#include "base/text.h"
#include "json/value.h"
#include "model/store.h"

namespace lmsb::model {
namespace {

constexpr int kMostPages = 20;
constexpr std::size_t kMostFiles = 20'000;
constexpr std::size_t kShown = 16;  // names in a hint

std::string lower(std::string_view text) {
  std::string low(text);
  std::transform(low.begin(), low.end(), low.begin(), [](unsigned char c) { return std::tolower(c); });
  return low;
}

Error nonsense(const std::string& who, const std::string& what) {
  return Error(ErrorCode::unavailable, who + " answered what is no " + what)
      .with_slug("hub_nonsense")
      .with_hint("try again; something between may have answered in its place");
}

std::string text_of(json::Value object, std::string_view name) {
  const auto field = object.find(name);
  const auto text = field ? field->string() : std::nullopt;
  return std::string(text.value_or(""));
}

std::uint64_t number_of(json::Value object, std::string_view name) {
  const auto field = object.find(name);
  const auto number = field ? field->integer() : std::nullopt;
  return number && *number > 0 ? static_cast<std::uint64_t>(*number) : 0;
}

std::string_view file_name(std::string_view path) { return path.substr(path.find_last_of('/') + 1); }

bool is_model_file(const HubFile& file) {
  const std::string name = lower(file_name(file.path));
  return name.ends_with(".gguf") && name.find("mmproj") == std::string::npos &&
         name.find("imatrix") == std::string::npos;
}

// "...-00002-of-00005.gguf": a model that is several files.
bool is_part_of_several(const HubFile& file) {
  constexpr std::string_view kPattern = "-00000-of-00000.gguf";
  const std::string name = lower(file.path);
  if (name.size() <= kPattern.size()) return false;
  const std::string_view end = std::string_view(name).substr(name.size() - kPattern.size());
  return std::equal(end.begin(), end.end(), kPattern.begin(), [](char c, char p) {
    return p == '0' ? std::isdigit(static_cast<unsigned char>(c)) != 0 : c == p;
  });
}

// Whether `name` has `word` as a whole word: "Q4_K" is none of "Q4_K_M".
bool has_word(const std::string& name, const std::string& word) {
  const auto is_of_word = [&name](std::size_t at) {
    return at < name.size() && (std::isalnum(static_cast<unsigned char>(name[at])) != 0 || name[at] == '_');
  };
  for (std::size_t at = name.find(word); at != std::string::npos; at = name.find(word, at + 1))
    if (!(at > 0 && is_of_word(at - 1)) && !is_of_word(at + word.size())) return true;
  return false;
}

std::vector<HubFile> with_word(const std::vector<HubFile>& files, const std::string& word) {
  std::vector<HubFile> found;
  for (const HubFile& file : files)
    if (has_word(lower(file.path), lower(word))) found.push_back(file);
  // "Q4_K_M" before "UD-Q4_K_M", which somebody asks for by all of it.
  std::stable_sort(found.begin(), found.end(),
                   [](const HubFile& a, const HubFile& b) { return a.path.size() < b.path.size(); });
  return found;
}

std::string shown(const std::vector<HubFile>& files) {
  std::string names;
  for (std::size_t i = 0; i < files.size() && i < kShown; ++i) names += (i == 0 ? "" : ", ") + files[i].path;
  return files.size() > kShown ? names + ", ..." : names;
}

Error not_there(const HuggingFaceSource& source, const std::string& what, const std::vector<HubFile>& files) {
  return Error(ErrorCode::not_found, "hf:" + source.repository + " has " + what)
      .with_slug("model_not_there")
      .with_hint(files.empty() ? std::string("a repository with GGUF files has mostly GGUF in its name")
                               : "it has " + shown(files) + "; name one behind a colon, or its quantisation");
}

Result<HubFile> whole(const HubFile& file, const HuggingFaceSource& source) {
  if (!is_part_of_several(file)) return file;
  return Error(ErrorCode::unsupported, "hf:" + source.repository + " has " + lmsb::quoted(file.path) +
                                           " in several files, which cannot be put together yet")
      .with_slug("model_in_parts")
      .with_hint("pull a smaller quantisation, or join them with llama-gguf-split --merge and pull the file");
}

// What Ollama's and llama.cpp's users get, too, where they say nothing.
std::optional<HubFile> usual(const std::vector<HubFile>& files) {
  for (const char* quantisation : {"Q4_K_M", "Q4_0", "Q8_0"})
    if (const auto found = with_word(files, quantisation); !found.empty()) return found.front();
  if (files.size() == 1) return files.front();
  return std::nullopt;
}

// A name of its own, where the file's says little.
std::string name_of(const HubFile& file, const HuggingFaceSource& source) {
  std::string name = name_from_source(file.path);
  const std::string repository = source.repository.substr(source.repository.find('/') + 1);
  const bool says_little = lower(name).starts_with("model") || lower(name).starts_with("ggml-model");
  if (says_little) name = name_from_source(repository + "-" + name);
  return name;
}

Result<json::Document> parse(const std::string& text, const std::string& who, const std::string& what) {
  json::ParseFault fault;
  auto document = json::Document::parse(text, fault);
  if (!document) return nonsense(who, what);
  return *std::move(document);
}

Result<std::vector<HubFile>> list_files(const HuggingFaceSource& source, const HubPlaces& places, const Secret& token,
                                        const fetch::DownloadLimits& limits, const fetch::Progress& progress) {
  fetch::Wanted wanted;
  wanted.url = places.hugging_face + "/api/models/" + source.repository + "/tree/main?recursive=true";
  wanted.bearer = token.reveal();
  std::vector<HubFile> files;
  for (int page = 0; page < kMostPages && files.size() < kMostFiles; ++page) {
    fetch::Received received;
    LMSB_TRY(const std::string text, fetch::fetch_text(wanted, limits, progress, received));
    LMSB_TRY(const auto more, read_file_list(text));
    files.insert(files.end(), more.begin(), more.end());
    if (received.next.empty()) return files;
    // A token goes nowhere else.
    if (fetch::origin_of(received.next) != fetch::origin_of(places.hugging_face))
      return nonsense(places.hugging_face, "list of files: its next page is somewhere else");
    wanted.url = received.next;
  }
  return files;
}

Result<RemoteFile> find(const FileSource& source, const HubPlaces&, const Secret&, const fetch::DownloadLimits&,
                        const fetch::Progress&) {
  return Error(ErrorCode::invalid_argument, source.path + " is a file of this machine").with_slug("invalid_source");
}

Result<RemoteFile> find(const UrlSource& source, const HubPlaces&, const Secret&, const fetch::DownloadLimits&,
                        const fetch::Progress&) {
  RemoteFile file;
  file.name = name_from_source(source.url);
  file.url = source.url;
  return file;
}

Result<RemoteFile> find(const HuggingFaceSource& source, const HubPlaces& places, const Secret& token,
                        const fetch::DownloadLimits& limits, const fetch::Progress& progress) {
  const Secret& used = token.empty() ? places.token : token;
  auto files = list_files(source, places, used, limits, progress);
  if (!files.ok()) return std::move(files).error().with_context("look at hf:" + source.repository);
  LMSB_TRY(const HubFile chosen, choose_file(*files, source));
  RemoteFile file;
  file.name = name_of(chosen, source);
  file.url = places.hugging_face + "/" + source.repository + "/resolve/main/" + chosen.path;
  file.token = used;
  file.sha256 = chosen.sha256;
  file.size = chosen.size;
  return file;
}

Result<RemoteFile> find(const RegistrySource& source, const HubPlaces& places, const Secret&,
                        const fetch::DownloadLimits& limits, const fetch::Progress& progress) {
  const std::string base =
      (source.host.empty() ? places.registry : "https://" + source.host) + "/v2/" + source.space + "/" + source.model;
  fetch::Wanted wanted;
  wanted.url = base + "/manifests/" + source.tag;
  wanted.accept = "application/vnd.docker.distribution.manifest.v2+json";
  fetch::Received received;
  auto text = fetch::fetch_text(wanted, limits, progress, received);
  if (!text.ok() && text.error().code() == ErrorCode::not_found)
    return Error(ErrorCode::not_found, "the registry has no model " + lmsb::quoted(name_of(source)))
        .with_slug("model_not_there")
        .with_hint("for a repository of Hugging Face write hf:ORG/REPO");
  if (!text.ok()) return std::move(text).error().with_context("look at " + name_of(source));
  LMSB_TRY(const HubFile layer, read_manifest(*text, source));
  RemoteFile file;
  file.name = name_of(source);
  file.url = base + "/blobs/sha256:" + layer.sha256;
  file.sha256 = layer.sha256;
  file.size = layer.size;
  return file;
}

}  // namespace

Result<std::vector<HubFile>> read_file_list(const std::string& text) {
  LMSB_TRY(const auto document, parse(text, "Hugging Face", "list of files"));
  if (document.root().kind() != json::Kind::array) return nonsense("Hugging Face", "list of files");
  std::vector<HubFile> files;
  for (const json::Value item : document.root().items()) {
    HubFile file{text_of(item, "path"), "", number_of(item, "size")};
    if (text_of(item, "type") != "file" || !is_model_file(file)) continue;
    const auto parsed = parse_source("hf:a/b:" + file.path);
    if (!parsed.ok()) continue;  // it could not be asked for
    const auto stored = item.find("lfs");
    const std::string digest = stored ? lower(text_of(*stored, "oid")) : "";
    if (parse_sha256(digest)) file.sha256 = digest;
    files.push_back(std::move(file));
  }
  return files;
}

Result<HubFile> choose_file(const std::vector<HubFile>& files, const HuggingFaceSource& source) {
  if (files.empty()) return not_there(source, "no GGUF file", {});
  if (lower(source.wanted).ends_with(".gguf")) {
    const auto is_it = [&source](const HubFile& file) { return file.path == source.wanted; };
    const auto found = std::find_if(files.begin(), files.end(), is_it);
    return found != files.end() ? whole(*found, source)
                                : not_there(source, "no file " + lmsb::quoted(source.wanted), files);
  }
  if (source.wanted.empty()) {
    if (const auto chosen = usual(files)) return whole(*chosen, source);
    return not_there(source, "several models, and none is the usual one", files);
  }
  const auto found = with_word(files, source.wanted);
  return found.empty() ? not_there(source, "nothing of " + lmsb::quoted(source.wanted), files)
                       : whole(found.front(), source);
}

Result<HubFile> read_manifest(const std::string& text, const RegistrySource& source) {
  LMSB_TRY(const auto document, parse(text, "the registry", "manifest"));
  const auto layers = document.root().find("layers");
  if (!layers) return nonsense("the registry", "manifest");
  std::optional<HubFile> model;
  bool has_adapter = false;
  for (const json::Value layer : layers->items()) {
    const std::string type = text_of(layer, "mediaType");
    has_adapter = has_adapter || type == "application/vnd.ollama.image.adapter";
    if (type != "application/vnd.ollama.image.model") continue;
    if (model)
      return Error(ErrorCode::unsupported,
                   lmsb::quoted(name_of(source)) + " is in several files, which cannot be put together yet")
          .with_slug("model_in_parts");
    const std::string digest = text_of(layer, "digest");
    if (!digest.starts_with("sha256:") || !parse_sha256(digest.substr(7))) return nonsense("the registry", "digest");
    model = HubFile{"", lower(digest.substr(7)), number_of(layer, "size")};
  }
  if (has_adapter)
    return Error(ErrorCode::unsupported,
                 lmsb::quoted(name_of(source)) + " is changed by an adapter, which is not done here yet")
        .with_slug("adapter_alone");
  if (!model)
    return Error(ErrorCode::unsupported, lmsb::quoted(name_of(source)) + " has no model in one GGUF file")
        .with_slug("model_not_there");
  return *std::move(model);
}

Result<RemoteFile> find_remote(const Source& source, const HubPlaces& places, const Secret& token,
                               const fetch::DownloadLimits& limits, const PullProgress& progress) {
  const fetch::Progress go_on = [&progress](std::uint64_t, std::uint64_t) { return progress(PullState()); };
  return std::visit([&](const auto& of) { return find(of, places, token, limits, go_on); }, source);
}

}  // namespace lmsb::model
