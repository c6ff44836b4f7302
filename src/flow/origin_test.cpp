#include "flow/origin.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "adapters/git/repository.hpp"
#include "base/file.hpp"
#include "base/ids.hpp"

namespace heddle::flow {
namespace {

namespace fs = std::filesystem;

/// examples/flights with data and a worker in git.
class OriginTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + uuid7();
    fs::copy("examples/flights", root_, fs::copy_options::recursive);
    put("data/flights-3m.parquet", "rows");
    put("data/airports.csv", "iata\nAAA\n");
    put("worker/serve.py", "print()\n");
    put("worker/lib/part.py", "x = 1\n");
    put("models/worker.yaml",
        "apiVersion: heddle/v1\nkind: Model\nname: worker\nfeatures: flights\ntarget: delay > 15\n"
        "train: {source: flights, time_field: date, from: \"2001-01-01\", to: \"2001-02-01\"}\n"
        "runtime: {kind: process, files: worker, command: [python3, serve.py]}\n");
    git("init -q");
    git("add -A -f");  // the example ignores its data
    git("commit -q -m all");
    repository_ = adapters::open_git(root_).value();
  }
  void TearDown() override { fs::remove_all(root_); }

  void git(const std::string& words) {
    const std::string command = fmt::format(
        "git -C '{}' -c user.name=t -c user.email=t@localhost -c commit.gpgsign=false {} "
        ">/dev/null 2>&1",
        root_, words);
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  void put(const std::string& file, const std::string& text) {
    fs::create_directories(fs::path(root_ + "/" + file).parent_path());
    ASSERT_TRUE(write_file_atomic(root_ + "/" + file, text).ok());
  }
  Origin origin() {
    const auto loaded = spec::load_project(root_);
    EXPECT_TRUE(loaded.ok());
    auto out = origin_of(*loaded, *repository_);
    EXPECT_TRUE(out.ok()) << out.error().str();
    return *out;
  }

  using Texts = std::vector<std::string>;
  std::string root_;
  std::unique_ptr<store::Git> repository_;
};

TEST_F(OriginTest, CleanIsWhatTheCommitHolds) {
  EXPECT_EQ(origin().commit, *repository_->head());
  EXPECT_EQ(origin().changes, Texts{});
  EXPECT_FALSE(origin().dirty());
  put("README.md", "no definition\n");
  put("worker/__pycache__/serve.pyc", "never packed");
  EXPECT_FALSE(origin().dirty());
}

TEST_F(OriginTest, AWorkersFilesCountBothWaysAndWithTheirMode) {
  put("worker/extra.py", "y = 2\n");
  EXPECT_EQ(origin().changes, Texts{"`worker/extra.py` is not in the commit"});
  fs::remove(root_ + "/worker/extra.py");
  fs::remove(root_ + "/worker/lib/part.py");
  EXPECT_EQ(origin().changes,
            Texts{"`worker/lib/part.py` is in the commit and not in the work tree"});
  git("checkout -q .");
  put("worker/serve.py", "print(1)\n");
  EXPECT_EQ(origin().changes, Texts{"`worker/serve.py` was changed"});
  git("checkout -q .");
  fs::permissions(root_ + "/worker/serve.py", fs::perms::owner_exec, fs::perm_options::add);
  EXPECT_EQ(origin().changes, Texts{"`worker/serve.py` was changed"});
}

TEST_F(OriginTest, DataCountsWhereGitHoldsIt) {
  put("data/flights-3m.parquet", "other rows");
  EXPECT_EQ(origin().changes, Texts{"`data/flights-3m.parquet` was changed"});
  git("checkout -q .");
  git("rm -q -r --cached data");
  git("commit -q -m \"data lies elsewhere\"");
  put("data/flights-3m.parquet", "other rows");
  EXPECT_EQ(origin().changes, Texts{});
}

TEST_F(OriginTest, NoCommitIsDirty) {
  fs::remove_all(root_ + "/.git");
  git("init -q");
  repository_ = adapters::open_git(root_).value();
  EXPECT_EQ(origin().commit, "");
  EXPECT_TRUE(origin().dirty());
}

}  // namespace
}  // namespace heddle::flow
