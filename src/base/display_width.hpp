#pragma once

#include <cstddef>
#include <string_view>

namespace heddle {

/// How many columns of a terminal `text` takes, one line of UTF-8: two for a wide character of East
/// Asian scripts and for a pictograph, none for a mark that joins the letter before it (Unicode 15,
/// East_Asian_Width and the general categories Mn, Me and Cf). A byte that is no UTF-8 counts as
/// the one U+FFFD that a terminal shows.
[[nodiscard]] std::size_t display_width(std::string_view text) noexcept;

}  // namespace heddle
