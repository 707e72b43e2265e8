#pragma once
// Source: what `model pull` is asked for, in its forms. Pure.
//
//     /srv/models/a.gguf                     a file
//     https://models.example/a.gguf          a URL
//     hf:org/repo, hf:org/repo:Q8_0          a repository of Hugging Face; of its files the one of that quantisation,
//     hf:org/repo:dir/a-Q8_0.gguf            or that file. hf.co/org/repo:Q8_0, as others write it, is the same
//     llama3.2, llama3.2:3b, me/mine:1b      a name of Ollama's registry; host/me/mine:1b of another one
#include <string>
#include <variant>

#include "base/result.h"

namespace lmsb::model {

struct FileSource {
  std::string path;
};

struct UrlSource {
  std::string url;
};

struct HuggingFaceSource {
  std::string repository;  // "org/repo"
  std::string wanted;      // a quantisation, or a file that ends in .gguf; "" = what suits most
};

struct RegistrySource {
  std::string host;   // "" = the usual registry
  std::string space;  // "library"
  std::string model;
  std::string tag;  // "latest"
};

using Source = std::variant<FileSource, UrlSource, HuggingFaceSource, RegistrySource>;

// Error invalid_source: it is none of these forms.
Result<Source> parse_source(const std::string& text);

// Under which name a model of the registry is kept: "llama3.2" for the tag `latest`, else "llama3.2:3b"; of somebody's
// "me-mine:1b".
std::string name_of(const RegistrySource& source);

}  // namespace lmsb::model
