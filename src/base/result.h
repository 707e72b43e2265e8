#pragma once
// Result<T>: a value or an Error. Never ignored silently (nodiscard), never thrown. Status is Result<void>.
//
// It has std::expected's vocabulary where it can, so that a later switch is mechanical (docs/adr/0002).
#include <concepts>
#include <optional>
#include <utility>
#include <variant>

#include "base/assert.h"
#include "base/error.h"

namespace lmsb {

template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(Error e) : v_(std::in_place_index<1>, std::move(e)) {}  // NOLINT(google-explicit-constructor)
  template <class U = T>
  requires(std::constructible_from<T, U> && !std::same_as<std::remove_cvref_t<U>, Result> &&
           !std::same_as<std::remove_cvref_t<U>, Error>) Result(U&& value)
      : v_(std::in_place_index<0>, std::forward<U>(value)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return v_.index() == 0; }
  explicit operator bool() const { return ok(); }
  // Asking for the side that is not there is a bug and aborts.
  T& value() & { return LMSB_ASSERT(ok()), *std::get_if<0>(&v_); }
  const T& value() const& { return LMSB_ASSERT(ok()), *std::get_if<0>(&v_); }
  T&& value() && { return LMSB_ASSERT(ok()), std::move(*std::get_if<0>(&v_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const& { return LMSB_ASSERT(!ok()), *std::get_if<1>(&v_); }
  Error&& error() && { return LMSB_ASSERT(!ok()), std::move(*std::get_if<1>(&v_)); }

 private:
  std::variant<T, Error> v_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  Result() = default;
  Result(Error e) : e_(std::move(e)) {}  // NOLINT(google-explicit-constructor)
  bool ok() const { return !e_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { return LMSB_ASSERT(!ok()), *e_; }
  Error&& error() && { return LMSB_ASSERT(!ok()), std::move(*e_); }

 private:
  std::optional<Error> e_;
};
using Status = Result<void>;

}  // namespace lmsb

#define LMSB_CONCAT_INNER(a, b) a##b
#define LMSB_CONCAT(a, b) LMSB_CONCAT_INNER(a, b)
// LMSB_TRY(auto fd, open_at(dir, path)); returns the error from the enclosing function.
#define LMSB_TRY(decl, expr) LMSB_TRY_IMPL(LMSB_CONCAT(lmsb_r_, __COUNTER__), decl, expr, return )
#define LMSB_CHECK(expr) LMSB_CHECK_IMPL(LMSB_CONCAT(lmsb_s_, __COUNTER__), expr, return )
// The same inside a coroutine.
#define LMSB_CO_TRY(decl, expr) LMSB_TRY_IMPL(LMSB_CONCAT(lmsb_r_, __COUNTER__), decl, expr, co_return )
#define LMSB_CO_CHECK(expr) LMSB_CHECK_IMPL(LMSB_CONCAT(lmsb_s_, __COUNTER__), expr, co_return )
#define LMSB_TRY_IMPL(tmp, decl, expr, ret)  \
  auto tmp = (expr);                         \
  if (!tmp.ok()) ret std::move(tmp).error(); \
  decl = *std::move(tmp)
#define LMSB_CHECK_IMPL(tmp, expr, ret) \
  if (auto tmp = (expr); !tmp.ok()) ret std::move(tmp).error()
