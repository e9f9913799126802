/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Part of Reafference. Built against the headers of NEST and loaded into it, so under NEST's licence: the GNU
 * General Public License, version 2 or (at your option) any later version. It comes without any warranty.
 *
 * The extension module: a recording backend and a synapse for NEST, and the functions that Python calls by ctypes.
 */

#include "nest_extension_interface.h"

#include "recordables.h"
#include "stream_backend.h"
#include "tap_synapse.h"

namespace reafference
{

constexpr auto BACKEND = "reafference_stream";
constexpr auto SYNAPSE = "reafference_tap";

class Module : public nest::NESTExtensionInterface
{
public:
  //! NEST calls this when the module is installed, and again when the number of threads has changed: then the
  //! backend is still there, but the models are gone.
  void initialize() override
  {
    if ( not nest::kernel().io_manager.is_valid_recording_backend( BACKEND ) )
    {
      nest::kernel().io_manager.register_recording_backend< StreamBackend >( BACKEND );
    }
    nest::kernel().model_manager.register_connection_model< TapSynapse >( SYNAPSE );
  }
};

}

//! NEST looks for this name.
reafference::Module module;

extern "C" {

/** 1 while the kernel has the backend: from installation until it is reset. */
int
reafference_installed()
{
  return reafference::StreamBackend::current() != nullptr;
}

/** Spikes that wait to be taken; -1 if the module is not installed in this kernel. */
std::int64_t
reafference_held()
{
  const auto* backend = reafference::StreamBackend::current();
  return backend ? static_cast< std::int64_t >( backend->held() ) : -1;
}

/** Take all spikes, by time, then sender, into arrays with room for `room` of them.
 *
 * Returns how many, or -1 (and takes none) if there is no room for all or the module is not installed.
 */
std::int64_t
reafference_take( std::int64_t resolution_ns, std::int64_t* sender, std::int64_t* time_ns, std::int64_t room )
{
  auto* backend = reafference::StreamBackend::current();
  if ( not backend or static_cast< std::int64_t >( backend->held() ) > room )
  {
    return -1;
  }
  static std::vector< reafference::Spike > taken;
  backend->take( resolution_ns, taken );
  for ( std::size_t i = 0; i < taken.size(); ++i )
  {
    sender[ i ] = taken[ i ].sender;
    time_ns[ i ] = taken[ i ].time_ns;
  }
  return static_cast< std::int64_t >( taken.size() );
}

/** The recordable `name` of `n` nodes of this process, in their order, into `values`.
 *
 * Returns how many were read before the first that cannot be: one of another model, or that lives elsewhere.
 */
std::int64_t
reafference_read( const char* name, const std::int64_t* node_ids, double* values, std::int64_t n )
{
  auto& nodes = nest::kernel().node_manager;
  const reafference::AnyReader reader( name );
  for ( std::int64_t i = 0; i < n; ++i )
  {
    const auto id = static_cast< std::size_t >( node_ids[ i ] );
    if ( id < 1 or id > nodes.size() or not reader.read( *nodes.get_node_or_proxy( id ), values[ i ] ) )
    {
      return i;
    }
  }
  return n;
}
}
