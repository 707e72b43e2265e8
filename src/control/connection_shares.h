#pragma once
// ConnectionShares: how many connections to the outside each sandbox may have, so that all together have no more than
// the machine can spare: its ports, descriptors, and what its firewall remembers of each. As long as there are few
// sandboxes with a network each may have the most; with more of them each may have a half, a quarter, and so on, so
// that most of those that come and go change nothing for the others. What a sandbox has beyond a part that has become
// smaller it keeps until it ends, and others get that much less until then. One thread; no work for a connection.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

namespace lmsb::control {

class ConnectionShares : public std::enable_shared_from_this<ConnectionShares> {
 public:
  // Hears of another share than it had; may not call back.
  using Tell = std::function<void(std::uint32_t share)>;
  // `all`: of all together; `most`: of one.
  ConnectionShares(std::uint32_t all, std::uint32_t most) : all_(all), most_(most), part_(most) {}

  // Of one sandbox, as long as it lives.
  class Place {
   public:
    ~Place() { shares_->leave(number_); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    // What it may have now; 0 while others have all.
    std::uint32_t share() const { return shares_->places_.at(number_).share; }
    // It has so many, as its gate says.
    void has(std::uint32_t connections) { shares_->note(number_, connections); }

   private:
    friend class ConnectionShares;
    Place(std::shared_ptr<ConnectionShares> shares, std::uint64_t number)
        : shares_(std::move(shares)), number_(number) {}
    const std::shared_ptr<ConnectionShares> shares_;
    const std::uint64_t number_;
  };
  std::unique_ptr<Place> enter(Tell tell);

  std::uint64_t held() const { return held_; }  // shares, and what is kept beyond them

 private:
  struct One {
    std::uint32_t share = 0;
    std::uint32_t connections = 0;
    Tell tell;
    std::uint32_t held() const { return share > connections ? share : connections; }
  };
  void leave(std::uint64_t number);
  void note(std::uint64_t number, std::uint32_t connections);
  // The part of each, for so many as there are.
  void settle();
  void set_share(One& one, std::uint32_t share);
  // To those who have less than their part, what is free.
  void serve();

  const std::uint32_t all_;
  const std::uint32_t most_;
  std::uint32_t part_;
  std::uint64_t held_ = 0;
  std::size_t wanting_ = 0;  // who have less than their part
  std::uint64_t next_ = 0;
  std::map<std::uint64_t, One> places_;
};

}  // namespace lmsb::control
