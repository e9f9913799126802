from services.brain.models.cbct.tables import PATHWAY_GROUPS, PORTS, REGIONS, tables, zones_of


def test_the_tables_are_complete() -> None:
    found = tables()
    assert len(found.populations) == 74
    assert len(found.connections) == 320 + 226 + 16 + 14 + 36
    assert len(found.pathways) == 31
    assert len(found.inputs) == 56


def test_every_name_in_a_table_is_defined_in_another() -> None:
    found = tables()
    for row in found.populations.values():
        assert row.neuron_set in found.neurons
    for projection in [*found.connections.values(), *found.pathways.values()]:
        assert projection.source in found.populations
        assert projection.target in found.populations
        assert projection.receptor in PORTS
    for source in found.inputs.values():
        assert source.target in found.populations


def test_a_projection_inside_a_region_stays_inside() -> None:
    populations = tables().populations
    for row in tables().connections.values():
        assert populations[row.source].zone == populations[row.target].zone
    for row in tables().pathways.values():
        assert populations[row.source].region != populations[row.target].region


def test_weights_have_the_sign_of_their_source_except_in_the_thalamus() -> None:
    populations = tables().populations
    for row in tables().connections.values():
        lognormal = row.weight_dist == "lognormal"
        positive = lognormal or row.weight > 0
        inhibitory = populations[row.source].sign == "I"
        if populations[row.source].region == "TH":
            # Published so: inhibitory cells of the thalamus excite; the alternative weight does not.
            assert positive
            assert (row.weight_alt == -1.0) == inhibitory
        elif row.rule != "one_to_one":
            assert positive != inhibitory, row.id


def test_groups_and_regions_are_those_of_the_rows() -> None:
    found = tables()
    assert {row.group for row in found.pathways.values()} == set(PATHWAY_GROUPS)
    assert {row.region for row in found.populations.values()} == set(REGIONS)


def test_the_thalamus_has_four_zones() -> None:
    assert zones_of("TH") == ("TH_S1_EZ", "TH_S1_IZ", "TH_M1_EZ", "TH_M1_IZ")
    assert zones_of("TH_M1_IZ") == ("TH_M1_IZ",)
    assert zones_of("M1") == ("M1",)
