#pragma once

#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/cron.hpp"
#include "doc/value.hpp"

namespace heddle::spec {

/// When a model is trained again without somebody who asks for it; one of the four. A value type.
struct Trigger {
  std::string name;
  std::string model;  ///< name
  std::optional<Cron> schedule{};
  Micros new_data = 0;      ///< how often the model's source is looked at; 0: it is not
  std::int64_t labels = 0;  ///< so many labels met their rows since it was last so; 0: not counted
  bool alert = false;       ///< an alert opened an incident of a service of the model
  bool refit = true;        ///< with what the accepted search found; false: a search of its own
  doc::Position position{};
};

}  // namespace heddle::spec
