#pragma once
// A KeyService for tests of the edge: it remembers what it was asked, and lets in by the keys that it was given.
#include <map>
#include <string>

#include "control/key_service.h"

namespace lmsb::server {

class FakeKeys final : public control::KeyService {
 public:
  FakeKeys() {
    key.id = "key_aaaaaaaaaaaaaaaaaaaa";
    key.name = "ci";
    key.scopes = {control::Operation::write};
    key.created_at = "2026-01-01T00:00:00Z";
    key.created_by = "local:0";
  }
  std::optional<Error> error;
  control::KeyInfo key;
  control::CreateKey created;
  control::Principal asker;
  std::string named;
  std::map<std::string, control::Principal, std::less<>> known;
  std::optional<Error> entry_error;  // of whoever comes with one of those
  int entries = 0;

  io::Task<control::MadeKey> create(control::Principal who, control::CreateKey request) override {
    asker = std::move(who);
    created = std::move(request);
    if (error) co_return *error;
    control::MadeKey made{key, Secret("lmsb_secret")};
    co_return made;
  }
  Result<control::KeyPage> list(const control::Principal& who, std::size_t limit, const std::string&) override {
    asker = who;
    if (error) return *error;
    control::KeyPage page;
    page.data.push_back(key);
    if (limit == 1) page.next_cursor = "more";
    return page;
  }
  io::Task<void> remove(control::Principal who, std::string id_or_name) override {
    asker = std::move(who);
    named = std::move(id_or_name);
    if (error) co_return *error;
    co_return Status();
  }
  Result<control::Principal> enter(std::string_view presented) override {
    const auto found = known.find(presented);
    if (found == known.end()) return Error(ErrorCode::unauthenticated, "not known").with_slug("key_unknown");
    if (entry_error) return *entry_error;
    ++entries;
    return found->second;
  }
  Result<control::Principal> enter_as(const std::string& principal) override {
    for (const auto& [text, who] : known)
      if (who.name == principal) return enter(text);
    return Error(ErrorCode::unauthenticated, "not known").with_slug("key_unknown");
  }
  bool has_ours_in(std::string_view text) const override { return text.find("lmsb_") != std::string_view::npos; }
  bool knows(std::string_view presented) const override { return known.contains(presented); }
  bool is_empty() const override { return known.empty(); }
  bool is_valid(const std::string& principal) const override {
    for (const auto& [text, who] : known)
      if (who.name == principal) return true;
    return false;
  }
};

}  // namespace lmsb::server
