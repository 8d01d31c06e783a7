#include "engine/base/env.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/engine/expect_error.h"

namespace reprise {
namespace {

// Sets an environment variable while it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) {
      old_ = old;
      was_set_ = true;
    }
    setenv(name, value, 1);
  }
  ~Variable() {
    if (was_set_)
      setenv(name_, old_.c_str(), 1);
    else
      unsetenv(name_);
  }

 private:
  const char* name_;
  std::string old_;
  bool was_set_ = false;
};

TEST(Env, TheTableIsComplete) {
  for (const EnvVariable& v : env_table()) {
    EXPECT_TRUE(v.name.starts_with("REPRISE_")) << v.name;
    EXPECT_FALSE(v.meaning.empty()) << v.name;
    EXPECT_NO_THROW(env_string(v.name));
  }
  EXPECT_THROW(env_string("REPRISE_NO_SUCH"), InternalError);
}

TEST(Env, StandardsAndFlags) {
  unsetenv("REPRISE_CACHE_MB");
  EXPECT_EQ(env_int("REPRISE_CACHE_MB"), 4096);
  for (const auto& [value, on] : {std::pair{"0", false}, {"", false}, {"1", true}, {"yes", true}}) {
    const Variable v("REPRISE_STRICT", value);
    EXPECT_EQ(env_flag("REPRISE_STRICT"), on) << "'" << value << "'";
  }
}

TEST(Env, NumbersAreNumbers) {
  {
    const Variable v("REPRISE_CACHE_MB", "12");
    EXPECT_EQ(env_int("REPRISE_CACHE_MB"), 12);
  }
  for (const char* wrong : {"12x", "x", "1.5"}) {
    const Variable v("REPRISE_CACHE_MB", wrong);
    testing::expect_error([] { env_int("REPRISE_CACHE_MB"); }, "REPRISE_CACHE_MB", wrong);
  }
}

TEST(Env, UnknownNamesAreListed) {
  const Variable known("REPRISE_DEBUG", "0"), unknown("REPRISE_DEBGU", "1");
  EXPECT_NE(unknown_env_variables().find("REPRISE_DEBGU"), std::string::npos);
  EXPECT_EQ(unknown_env_variables().find("REPRISE_DEBUG"), std::string::npos);
}

}  // namespace
}  // namespace reprise
