// Moves one Source into several Sinks at once, each on a thread of its own, so that reading, hashing, compressing and
// writing overlap.
//
//   source --calling thread--> ring of blocks --thread per sink--> hash
//                                             --thread per sink--> zip --> file
//
// All sinks read the same blocks; a block is filled again when every sink is through with it. So the slowest sink sets the
// pace, and memory is kPumpBlocksMax blocks at most.
#pragma once

#include <functional>
#include <span>
#include <stop_token>

#include "stream/stream.h"

namespace holdfast {

// Large enough that a hand-over costs nothing beside the work.
inline constexpr std::size_t kPumpBlockSize = 1 * kMiB;
// Being filled, waiting or being written: 8 MiB in all.
inline constexpr std::size_t kPumpBlocksMax = 8;

struct PumpOptions {
  std::stop_token stop = {};
  // Called on the calling thread after each block with the bytes read so far.
  std::function<void(std::uint64_t bytes)> on_progress = {};
};

// Reads `source` to its end on the calling thread. Every sink gets every byte in order, in blocks of kPumpBlockSize (the
// last may be shorter), and then Finish(), all on one thread named "pump-sink-<n>". Returns how many bytes moved, after all
// threads ended. A sink may stand in `sinks` once.
//
// The first error, of the source or of any sink, stops all and is returned; a stop request is kCancelled. No Finish()
// begins before every sink has taken every byte: after an error of the source or of a Write(), or a stop, no sink was
// finished. If one Finish() fails, others may have succeeded. A Read() or Write() that blocks is not interrupted: it has
// its own deadline or stop token.
StatusOr<std::uint64_t> Pump(Source& source, std::span<Sink* const> sinks,
                             const PumpOptions& options = {});

}  // namespace holdfast
