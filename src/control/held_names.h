#pragma once
// HeldNames: names whose things are being made, or may come back, so that nobody of the same owner gets one meanwhile.
//
// One loop, one thread. It may go before the names that it gave.
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace lmsb::control {

class HeldNames {
  using All = std::multiset<std::pair<std::string, std::string>>;  // owner and name

 public:
  // Nobody else's, while it lives. Held more than once, it is until the last of them goes.
  class Name {
   public:
    Name(std::shared_ptr<All> all, std::string owner, std::string name)
        : all_(std::move(all)), it_(all_->emplace(std::move(owner), std::move(name))) {}
    ~Name() { all_->erase(it_); }
    Name(const Name&) = delete;
    Name& operator=(const Name&) = delete;

   private:
    std::shared_ptr<All> all_;
    All::iterator it_;
  };
  using Held = std::shared_ptr<const Name>;

  // Null for "", which is none. Whoever wants it for something new asks has() before.
  Held hold(const std::string& owner, const std::string& name) {
    return name.empty() ? nullptr : std::make_shared<Name>(all_, owner, name);
  }
  bool has(const std::string& owner, const std::string& name) const { return all_->contains({owner, name}); }

 private:
  std::shared_ptr<All> all_ = std::make_shared<All>();
};

}  // namespace lmsb::control
