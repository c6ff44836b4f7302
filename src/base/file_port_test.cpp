// Files on a disk that fails at any call: there is the old content or the new one, and what was
// acknowledged is there after a power loss too.
#include "base/file_port.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.hpp"
#include "base/file_fixture.hpp"
#include "base/folder_fixture.hpp"

namespace heddle {
namespace {

using fixture::FaultyFiles;
using fixture::Folder;

/// Names that no operation leaves behind.
bool has_temporary(const std::string& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().find(".tmp.") != std::string::npos) return true;
  return false;
}

TEST(FilePort, AnAtomicWriteIsTheOldContentOrTheNewOneWhateverFails) {
  const bool ended = fixture::with_each_fault([](const fixture::Fault& fault, std::uint64_t call) {
    const Folder folder;
    const std::string path = folder.path() + "/file";
    EXPECT_TRUE(write_file_atomic(path, "old").ok());
    FaultyFiles files(folder.path());
    files.arm(call, fault);
    const std::string fresh(100, 'n');
    const auto written = write_file_atomic(files, path, fresh);
    const bool struck = files.struck();
    files.disarm();
    const std::string where = fmt::format("{} at call {}", to_string(fault), call);
    const std::string now = read_file(path).value();
    EXPECT_TRUE(now == fresh || now == "old") << where;
    if (written.ok()) {
      EXPECT_EQ(now, fresh) << where;
      files.lose_power();
      EXPECT_EQ(read_file(path).value(), fresh) << where << ", after a power loss";
    } else {
      EXPECT_EQ(written.error().kind, ErrorKind::kIo) << where;
      EXPECT_EQ(written.error().id, fault.code == EIO ? "file-io-failed" : "disk-full") << where;
      EXPECT_NE(written.error().message.find(folder.path()), std::string::npos) << where;
      EXPECT_FALSE(written.error().hint.empty()) << where;
      // A disk that fails for good does not let it be removed either.
      if (!fault.stays) {
        EXPECT_FALSE(has_temporary(folder.path())) << where;
      }
    }
    return struck;
  });
  EXPECT_TRUE(ended);
}

TEST(FilePort, FoldersThatWereMadeAreThereAfterAPowerLoss) {
  const bool ended = fixture::with_each_fault([](const fixture::Fault& fault, std::uint64_t call) {
    const Folder folder;
    FaultyFiles files(folder.path());
    files.arm(call, fault);
    const std::string path = folder.path() + "/a/b/file";
    const auto once = [&]() -> Result<void> {
      HEDDLE_TRY(make_dirs(files, folder.path() + "/a/b"));
      return write_file_atomic(files, path, "bytes");
    };
    auto made = once();
    const bool struck = files.struck();
    files.disarm();
    if (!made.ok()) made = once();  // the same command again
    EXPECT_TRUE(made.ok());
    files.lose_power();
    // On a disk that lets a folder neither be synced nor be removed, the next try finds it.
    if (!fault.stays) {
      EXPECT_TRUE(read_file(path).ok()) << to_string(fault) << " at call " << call;
    }
    return struck;
  });
  EXPECT_TRUE(ended);
}

TEST(FilePort, AFolderThatCannotBeListedIsNoEmptyFolder) {
  const Folder folder;
  EXPECT_TRUE(list_dir(system_files(), folder.path() + "/none")->empty());
  FaultyFiles files(folder.path());
  files.arm(1, {EIO, true, false});
  const auto names = list_dir(files, folder.path());
  ASSERT_FALSE(names.ok());
  EXPECT_EQ(names.error().id, "file-io-failed");
  EXPECT_TRUE(path_exists(files, folder.path() + "/none")) << "a disk that fails is no proof";
}

}  // namespace
}  // namespace heddle
