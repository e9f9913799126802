/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Part of Reafference. Built against the headers of NEST and loaded into it, so under NEST's licence: the GNU
 * General Public License, version 2 or (at your option) any later version. It comes without any warranty.
 */
#pragma once

#include <string>
#include <typeinfo>

#include "iaf_cond_alpha.h"
#include "iaf_cond_exp.h"
#include "iaf_psc_alpha.h"
#include "iaf_psc_delta.h"
#include "iaf_psc_exp.h"
#include "node.h"

namespace reafference
{

/**
 * What multimeters may read of a model: its table of recordables, which is private to the class.
 *
 * An explicit instantiation may name a private member; the friend it defines hands the pointer out. So a value is
 * read as a multimeter reads it, without the dictionary of all parameters that `get` builds for every node.
 */
template < class Model, nest::RecordablesMap< Model >* table >
struct Reveal
{
  friend nest::RecordablesMap< Model >* recordables( Model* )
  {
    return table;
  }
};

#define REAFFERENCE_READABLE( Model )                                     \
  nest::RecordablesMap< nest::Model >* recordables( nest::Model* );       \
  template struct Reveal< nest::Model, &nest::Model::recordablesMap_ >;

REAFFERENCE_READABLE( iaf_psc_alpha )
REAFFERENCE_READABLE( iaf_psc_exp )
REAFFERENCE_READABLE( iaf_psc_delta )
REAFFERENCE_READABLE( iaf_cond_alpha )
REAFFERENCE_READABLE( iaf_cond_exp )

#undef REAFFERENCE_READABLE

/** Reads one recordable of nodes of one model. */
template < class Model >
class Reader
{
public:
  explicit Reader( const std::string& name )
  {
    const auto& table = *recordables( static_cast< Model* >( nullptr ) );
    const auto found = table.find( name );
    access_ = found == table.end() ? nullptr : found->second;
  }

  /** Whether the node is of this model and has the recordable; then `value` is set. */
  bool read( const nest::Node& node, double& value ) const
  {
    if ( access_ == nullptr or typeid( node ) != typeid( Model ) )
    {
      return false;
    }
    value = ( static_cast< const Model& >( node ).*access_ )();
    return true;
  }

private:
  typename nest::RecordablesMap< Model >::DataAccessFct access_;
};

/** Readers of the same recordable for each of several models. */
template < class... Models >
class Readers : private Reader< Models >...
{
public:
  explicit Readers( const std::string& name )
    : Reader< Models >( name )...
  {
  }

  bool read( const nest::Node& node, double& value ) const
  {
    return ( Reader< Models >::read( node, value ) or ... );
  }
};

using AnyReader = Readers< nest::iaf_psc_alpha,
  nest::iaf_psc_exp,
  nest::iaf_psc_delta,
  nest::iaf_cond_alpha,
  nest::iaf_cond_exp >;

}
