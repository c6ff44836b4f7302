#pragma once

#include "base/result.hpp"
#include "control/home.hpp"

namespace heddle::cli {

/// Gives a copied project its own secrets. `.heddle/place.json` says where the folder lay; a folder
/// that lies elsewhere while that one is still there is a copy, and the tokens and the owner's
/// secret that came with it would open the other one too. They are taken away, so that whoever
/// starts the planes makes new ones, and that is logged. One that was moved, or brought back from a
/// backup, keeps them. Any number of processes may call it at once.
[[nodiscard]] Result<void> settle_place(const control::Home& home);

}  // namespace heddle::cli
