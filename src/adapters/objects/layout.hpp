#pragma once

#include <memory>
#include <string>

#include "store/store.hpp"

namespace heddle::adapters {

/// store::Objects as an OCI image layout on disk: `oci-layout`, `index.json`, `blobs/sha256/HEX`. A
/// blob is written beside, fsynced and renamed, and read back against its digest. Thread-safe;
/// processes may share a folder (`index.json` is changed under a lock on `index.lock`). Nothing is
/// written to a folder whose `oci-layout` or `index.json` is damaged (kCorrupt `layout-corrupt`) or
/// of another version (kConflict `layout-version`).
[[nodiscard]] Result<std::unique_ptr<store::Objects>> open_layout(const std::string& directory);

}  // namespace heddle::adapters
