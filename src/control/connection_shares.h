#pragma once
// ConnectionShares: how many connections to the outside each sandbox may have, so that all together have no more than
// the machine can spare: its ports, descriptors, and what its firewall remembers of each.
//
// They are divided among owners first: whose sandboxes could have few together may have all of that, and each of the
// others as many as are left for whoever comes next: one a half, two a third each. An owner's part is divided equally
// among his sandboxes: as long as there are few, each may have the most; else a half of that, a quarter, and so on, so
// that most of those that come and go change nothing for the others.
//
// What a sandbox has beyond a part that has become smaller it keeps until it ends, and others get that much less until
// then; but what an owner holds, shares and what is kept, never grows beyond what is left for others. So one who lets
// nothing go leaves a half, a second one a quarter: some fourteen of them leave nothing of 16,384.
// One thread. That one sandbox has more connections, or fewer, is no work for others, unless it gives back what some
// of them want.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace lmsb::control {

class ConnectionShares : public std::enable_shared_from_this<ConnectionShares> {
 public:
  // Hears of another share than it had, while another sandbox enters, leaves or says what it has. May not call back.
  using Tell = std::function<void(std::uint32_t share)>;
  // `all`: of all together; `most`: of one.
  ConnectionShares(std::uint32_t all, std::uint32_t most) : all_(all), most_(most) {}

  // Of one sandbox, as long as it lives.
  class Place {
   public:
    ~Place() { shares_->leave(number_); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    // What it may have now; 0 while others have all.
    std::uint32_t share() const { return shares_->places_.at(number_).share; }
    // It has so many, as its gate says: no more than its share is believed, or was, until it has come down to that.
    void has(std::uint32_t connections) { shares_->note(number_, connections); }

   private:
    friend class ConnectionShares;
    Place(std::shared_ptr<ConnectionShares> shares, std::uint64_t number)
        : shares_(std::move(shares)), number_(number) {}
    const std::shared_ptr<ConnectionShares> shares_;
    const std::uint64_t number_;
  };
  std::unique_ptr<Place> enter(const std::string& owner, Tell tell);

  std::uint64_t held() const { return held_; }  // shares, and what is kept beyond them

 private:
  struct Owner {
    std::uint64_t count = 0;  // of his sandboxes
    std::uint32_t part = 0;   // of each
    std::uint64_t held = 0;
  };
  struct One {
    std::map<std::string, Owner>::iterator owner;
    std::uint32_t share = 0;
    std::uint32_t connections = 0;
    std::uint32_t believed = 0;  // connections, at most
    Tell tell;
    std::uint32_t held() const { return share > connections ? share : connections; }
  };
  void leave(std::uint64_t number);
  void note(std::uint64_t number, std::uint32_t connections);
  // What an owner's sandboxes may have together, those who could not have so many apart.
  std::uint64_t level() const;
  // The part of each, for so many as there are.
  void settle();
  std::uint32_t part_of(const Owner& owner, std::uint64_t level) const;
  // How much more that owner may hold.
  std::uint64_t room_of(const Owner& owner) const;
  void count(One& one, std::uint32_t share, std::uint32_t connections);
  void set_share(One& one, std::uint32_t share);
  // To those who have less than their part, what is free.
  void serve();

  const std::uint32_t all_;
  const std::uint32_t most_;
  std::uint64_t held_ = 0;
  bool has_wanting_ = false;  // some have less than their part
  std::uint64_t next_ = 0;
  std::map<std::string, Owner> owners_;
  std::map<std::uint64_t, One> places_;
};

}  // namespace lmsb::control
